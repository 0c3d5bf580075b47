// What #selftest does with pointer and keys: it goes a step on, points at an entry of every figure, gathers
// and scatters.
"use strict";
((page) => {
  const { check, panel } = page;
  const key = (target, name) =>
    target.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
  const click = (target) =>
    target.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
  const numberOf = (text) => Number(text.replace("−", "-"));

  check("steps", () => {
    const { order, go } = page.steps;
    go(order[0]);
    if (order.length > 1) key(document.body, "ArrowRight");
    const shown = document.querySelector("article.current")?.dataset.step;
    return shown === order[Math.min(1, order.length - 1)] || `ArrowRight leads to ${shown}`;
  });

  check("pointing", () => {
    for (const { figure, quantity } of page.figures) {
      const cell = figure.querySelector("svg.map .cells > rect, td[data-index], .bar");
      if (!cell) continue;
      click(cell);
      const { hidden, dataset } = panel.element;
      if (hidden || dataset.quantity !== quantity)
        return `a click on ${quantity} shows ${hidden ? "nothing" : dataset.quantity}`;
      const products = [...panel.body.querySelectorAll(".terms:not(.all):has(.total:not(.rounded)) .product")].map((one) =>
        numberOf(one.textContent),
      );
      const total = products.pop() ?? 0;
      const sum = products.reduce((a, b) => a + b, 0);
      if (products.length && Number.isFinite(total) && Math.abs(sum - total) > 1e-9 * (1 + Math.abs(total)))
        return `the terms of ${quantity} add up to ${sum}, not ${total}`;
      key(document.body, "Escape");
      if (!panel.element.hidden) return `Escape leaves ${quantity}`;
    }
    return document.querySelector("main .outline, main .lit-source") === null || "a light is left";
  });

  check("gather and scatter", () => {
    for (const [name, { element }] of page.stamps) {
      const shown = (view) => {
        click(element.querySelector(`[data-view="${view}"]`));
        const slider = element.querySelector('input[type="range"]');
        if (slider) {
          slider.value = slider.max;
          slider.dispatchEvent(new Event("input"));
        }
        return element.querySelector(".number, .reason")?.textContent;
      };
      const [gathered, scattered] = [shown("gather"), shown("scatter")];
      click(element.querySelector('[data-view="scatter"]'));
      if (gathered !== scattered || gathered === undefined)
        return `${name}: gathered ${gathered}, scattered ${scattered}`;
    }
    return true;
  });
})(chainrule.page);
