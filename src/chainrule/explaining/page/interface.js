// What the page does beside being read: ← and → go from step to step, and #selftest computes everything again.
"use strict";
(() => {
  const steps = [...document.querySelectorAll("article.card[data-step]")];
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
  follow();

  // The second implementation of the formulas on the embedded batch, beside the numbers of the first.
  if (location.hash === "#selftest") {
    const embedded = JSON.parse(document.getElementById("document").textContent);
    const result = chainrule.selftest(embedded);
    const report = document.createElement("pre");
    report.id = "selftest";
    report.textContent = JSON.stringify(result);
    document.body.append(report);
  }
})();
