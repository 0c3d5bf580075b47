// What #selftest does with the dock: change a number and take it back, nudge it, answer a question right and wrong.
"use strict";
((page) => {
  const { check, dock, edit, document: report } = page;
  const find = (selector) => dock.element.querySelector(selector);
  const near = (a, b, size) => Math.abs(a - b) <= size * (1 + Math.abs(a) + Math.abs(b));

  function enter(selector, value, kind = "input") {
    find(selector).value = value;
    find(selector).dispatchEvent(new Event(kind, { bubbles: true, cancelable: true }));
  }
  const press = (selector) => find(selector).click();

  /** f with a tab open; a frozen page has to say so instead. */
  function within(name, f) {
    press(`[data-tab="${name}"]`);
    const said = find(`#dock-${name} .frozen`) !== null || `${name} does not say that it is frozen`;
    const result = edit.frozen ? said : f();
    dock.close();
    return result;
  }

  check("change and undo", () => within("change", () => {
    const id = edit.ids.at(-1);
    enter(".inside select", id, "change");
    const { index } = page.chosen();
    const wanted = edit.before(id, index) + 0.5;
    enter(".value", wanted);
    edit.settle();
    const array = { shape: report.tensors[id].shape, data: chainrule.decode(report)[id].data.slice() };
    array.data[chainrule.arrays.flat(array.shape, index)] = wanted;
    const expected = chainrule.passes(report, { [id]: array });
    const shown = find(".objective b").textContent;
    if (page.passes().J !== expected.J) return `J is ${page.passes().J}, not ${expected.J}`;
    if (shown !== page.number(expected.J, 6)) return `J is shown as ${shown}`;
    if (document.querySelector("main .stale") === null) return "nothing is marked as before the change";
    press(".undo");
    edit.settle();
    if (edit.count() || Object.keys(page.changes()).length) return "a change is left after undo";
    return document.querySelector("main .stale, main .moved, main .edited") === null || "a mark is left after undo";
  }));

  check("nudge", () => within("nudge", () => {
    const id = edit.ids.findLast((one) => one !== "y"); // there is no formula of ∂J/∂y
    page.select(id, report.tensors[id].shape.map(() => 0));
    enter(".epsilon", 8);
    page.nudge.finish();
    const { results, formula } = page.nudge.results();
    const smooth = [...results.values()].filter(({ kinks, epsilon }) =>
      !kinks.length && epsilon < 1e-3 && epsilon > 1e-8);
    const wrong = smooth.find(({ quotient }) => !near(quotient, formula, 1e-4));
    if (results.size !== 12) return `${results.size} quotients`;
    return !wrong || `quotient ${wrong.quotient} at ${wrong.epsilon}, formula ${formula}`;
  }));

  check("quiz", () => within("quiz", () => {
    page.quiz.start(7);
    for (const { value, mistakes, kind } of page.quiz.round()) {
      const [{ name, en, zh, value: wrong }] = mistakes;
      enter("form input", String(wrong));
      enter("form", "", "submit");
      const said = find(".verdict").textContent;
      if (!said.includes(en) && !said.includes(zh)) return `${kind}: ${name} is not told`;
      enter("form input", String(value));
      enter("form", "", "submit");
      if (!find(".verdict").classList.contains("good")) return `${kind}: the right answer is refused`;
      press(".next");
    }
    dock.close();
    return document.querySelector(".quizzed") === null || "a number is still hidden";
  }));
})(chainrule.page);
