// Steps: ← and → go from step to step.
"use strict";
((page) => {
  const rank = ({ dataset: { step } }) => {
    const number = Number(step.slice(1));
    return { F: number, L: 1e6, B: 2e6 - number, U: 3e6 }[step[0]] ?? 4e6;
  };
  const steps = [...document.querySelectorAll("article.card[data-step]")].sort((a, b) => rank(a) - rank(b));
  const links = new Map([...document.querySelectorAll("nav a[data-step]")].map((link) => [link.dataset.step, link]));
  let at = -1;

  function mark(number) {
    if (steps[at]) {
      steps[at].classList.remove("current");
      links.get(steps[at].dataset.step)?.removeAttribute("aria-current");
    }
    at = number;
    steps[at].classList.add("current");
    links.get(steps[at].dataset.step)?.setAttribute("aria-current", "step");
  }

  function go(number) {
    if (number < 0 || number >= steps.length) return;
    mark(number);
    steps[at].scrollIntoView({ block: "start" });
    history.replaceState(null, "", `#step=${steps[at].dataset.step}`);
  }

  function follow() {
    const found = /(?:^|[#&])step=([A-Z]\d*)/.exec(location.hash);
    const card = found ? found[1] : null;
    const number = steps.findIndex((one) => one.dataset.step === card || `#${one.id}` === location.hash);
    if (number >= 0) mark(number);
    if (card !== null && number >= 0) steps[number].scrollIntoView({ block: "start" });
  }

  addEventListener("keydown", (event) => {
    const typing = event.target instanceof Element && event.target.closest("input, textarea, select");
    if (typing || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowRight") go(at + 1);
    else if (event.key === "ArrowLeft") go(at - 1);
  });
  addEventListener("hashchange", follow);
  page.ready(follow);
})(chainrule.page);
