// The dock: a bar at the foot of the window with J as it is now, and what opens above it, one thing at a time.
//
//   page.dock.tab(name, label, body, {opened, closed})   page.dock.open(name), close(), at: the name that is open
//   page.dock.changed(before, after)                     numbers in a cell: before, after, Δ
"use strict";
((page) => {
  const { edit, make, number, say, words } = page;
  const tabs = new Map();
  const bar = make("div", { class: "tabs", role: "tablist", "aria-label": words("Try it", "动手试") });
  const body = make("div", { class: "inside" });
  const J = make("output", { class: "objective", "aria-live": "polite" });
  const undo = make("button", { type: "button", class: "undo", click: () => edit.undo() }, say("undo", "撤销"));
  const reset = make("button", { type: "button", class: "reset", click: () => edit.reset() },
    say("all as before", "全部还原"));
  const element = make("aside", { id: "dock", "aria-label": words("Try it", "动手试") },
    body, make("div", { class: "foot" }, bar, make("div", { class: "state" }, J, undo, reset)));

  const dock = {
    at: null,
    element,
    tab(name, label, content, { opened, closed } = {}) {
      const panel = make("div", { role: "tabpanel", id: `dock-${name}`, hidden: true }, content);
      const button = make("button", {
        type: "button", role: "tab", "aria-selected": "false", "aria-controls": `dock-${name}`, "data-tab": name,
        click: () => (dock.at === name ? dock.close() : dock.open(name)),
      }, label);
      tabs.set(name, { panel, button, opened, closed });
      bar.append(button);
      body.append(panel);
    },
    open(name) {
      if (dock.at === name) return;
      dock.close();
      dock.at = name;
      turn(name, true);
      tabs.get(name).opened?.();
    },
    close() {
      if (dock.at === null) return;
      const name = dock.at;
      dock.at = null;
      turn(name, false);
      tabs.get(name).closed?.();
    },
    /** before → after (Δ), or the number alone while nothing has changed. */
    changed(before, after, digits = 6) {
      if (Object.is(before, after)) return [make("b", {}, number(after, digits))];
      const difference = after - before;
      const sign = difference > 0 ? "+" : "";
      return [
        make("span", { class: "was" }, number(before, digits)), " → ", make("b", {}, number(after, digits)),
        make("span", { class: "difference" }, ` Δ ${sign}${number(difference)}`),
      ];
    },
  };

  function turn(name, open) {
    const { panel, button } = tabs.get(name);
    panel.hidden = !open;
    button.setAttribute("aria-selected", String(open));
    element.classList.toggle("open", open);
    document.body.classList.toggle("choosing", open && name !== "quiz");
  }

  function show() {
    J.replaceChildren(`${page.loss} `, ...dock.changed(report().J, current().J));
    const count = edit.count();
    undo.hidden = !edit.steps();
    reset.hidden = !count;
    element.classList.toggle("changed", count > 0);
  }

  const report = () => (edit.frozen ? page.document.loss : edit.start());
  const current = () => (edit.frozen || !edit.count() ? report() : page.passes());

  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && element.contains(event.target)) dock.close();
  });
  // With a tab open that is about an entry, a click on an entry of the report chooses it.
  document.addEventListener("click", (event) => {
    if (!document.body.classList.contains("choosing") || element.contains(event.target)) return;
    const found = page.entry(event.target, event);
    if (found) page.select(found.quantity, found.index);
  });
  page.onChange(show);
  undo.hidden = reset.hidden = true;
  J.replaceChildren(`${page.loss} `, make("b", {}, number(Number(page.document.loss.J), 6)));
  document.body.append(element);
  page.dock = dock;
})(chainrule.page);
