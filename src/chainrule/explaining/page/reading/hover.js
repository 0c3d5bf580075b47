// Pointing: at a symbol its tensor lights up, at an entry what it is made of does, and the panel works it
// out.
//
// A click keeps the panel, Escape and a click beside let it go.  Maps, matrices and bars take the focus:
// arrows move from entry to entry, Enter keeps one.
"use strict";
((page) => {
  const { make, say, document: report } = page;
  const PARTS = "svg.map, figure.matrix table, svg.bars";
  const hint = make("p", { class: "hint" });
  let shown = null; // what is lit: a key
  let pinned = false;
  let waiting = null;
  let wanted = null;

  // -- showing ---------------------------------------------------------------------------------------------
  /** Show an entry: lights and panel. */
  function show({ quantity, index }, keep = false) {
    const key = `${quantity} ${index}`;
    if (key === shown && keep === pinned) return;
    if (!(quantity in report.tensors)) return;
    shown = key;
    pinned = keep;
    page.dark();
    const sources = page.panel.show(quantity, index, keep);
    hint.replaceChildren(
      keep ? say("Esc lets it go.", "按 Esc 放开。") : say("A click keeps this.", "单击可固定。"),
    );
    page.panel.body.append(hint);
    page.light(
      sources.filter((one) => !one.silent),
      "source",
    );
    page.light(
      sources.filter((one) => one.silent),
      "silent",
    );
    page.light([{ id: quantity, index }], "target");
    if (keep) uncover(quantity, index);
  }

  /** What is kept lies above the panel, not below it. */
  function uncover(quantity, index) {
    const { top } = page.panel.element.getBoundingClientRect();
    const covers = ({ bottom, top: head }) => head < innerHeight && bottom > top && bottom - head < top;
    const cells = [...page.cells(quantity, index)];
    const seen = cells.some((one) => { const box = one.getBoundingClientRect(); return box.bottom > 0 && box.bottom <= top; });
    const hidden = seen ? null : cells.find((one) => covers(one.getBoundingClientRect()));
    if (hidden && innerWidth <= 16 * 92) hidden.scrollIntoView({ block: "nearest", behavior: "instant" });
  }
  page.explain = show;

  function showTensor(id) {
    if (shown === id) return;
    shown = id;
    page.panel.hide();
    shown = id;
    page.lightTensor(id);
  }

  function hide() {
    if (shown === null) return;
    page.panel.hide();
  }
  page.panel.hidden = () => {
    const kept = pinned;
    shown = null;
    pinned = false;
    if (kept) page.select(null);
  };

  /** The panel keeps out of the pointer's way. */
  function aside(x, y) {
    page.panel.element.classList.toggle("left", x > innerWidth * 0.5 && y > innerHeight * 0.3);
  }

  // -- the pointer -----------------------------------------------------------------------------------------
  const busy = () => document.querySelector("#dock.open") !== null; // a click and the space belong to the dock
  const ours = (target) =>
    target instanceof Element && target.closest("main") && !target.closest("summary, a, button, input");
  const shows = (target) => target.closest("svg.map, td[data-index], .bar");

  function point(event) {
    const { target } = event;
    if (pinned || busy()) return;
    if (!ours(target)) return hide();
    const found = shows(target) ? page.entry(target, event) : null;
    const symbol = target.closest("[data-ref]");
    if (found) {
      aside(event.clientX, event.clientY);
      show(found);
    } else if (symbol && symbol.dataset.ref in report.tensors) showTensor(symbol.dataset.ref);
    else hide();
  }

  document.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    wanted = event;
    waiting ??= requestAnimationFrame(() => {
      waiting = null;
      point(wanted);
    });
  });
  document.documentElement.addEventListener("pointerleave", () => !pinned && !busy() && hide());

  document.addEventListener("click", (event) => {
    const { target } = event;
    if (busy() || !(target instanceof Element) || target.closest("#reading, #dock")) return;
    const found = ours(target) && shows(target) ? page.entry(target, event) : null;
    if (!found) {
      if (pinned && !target.closest("button, input, a, summary")) hide();
      return;
    }
    aside(event.clientX, event.clientY);
    keep(found);
  });

  function keep(found) {
    show(found, true);
    page.select(found.quantity, found.index);
  }

  // -- the keyboard ----------------------------------------------------------------------------------------
  for (const part of document.querySelectorAll(PARTS))
    if (page.figures.some(({ figure }) => figure.contains(part))) part.setAttribute("tabindex", 0);

  /** The cells of a part in rows. */
  function rowsOf(part) {
    if (part.localName === "table") {
      return [...part.rows]
        .map((row) => [...row.querySelectorAll("td[data-index]")])
        .filter((row) => row.length);
    }
    if (part.classList.contains("bars")) {
      const rows = [];
      for (const bar of part.querySelectorAll(".bar")) (rows[bar.dataset.row] ??= []).push(bar);
      return rows;
    }
    const [rows, columns] = part.closest(".panel").dataset.size.split(",").map(Number);
    return Array.from({ length: rows }, (_, row) =>
      Array.from({ length: columns }, (_, column) => ({ row, column, part })),
    );
  }

  /** The entry of such a cell. */
  function entryOf(cell) {
    if (cell instanceof Element) return page.entry(cell);
    const box = cell.part.getBoundingClientRect();
    const [rows, columns] = cell.part.closest(".panel").dataset.size.split(",").map(Number);
    const clientX = box.left + ((cell.column + 0.5) / columns) * box.width;
    return page.entry(cell.part, { clientX, clientY: box.top + ((cell.row + 0.5) / rows) * box.height });
  }

  const cursors = new WeakMap(); // part -> [row, column]
  const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

  function move(part, [down, across], keeping) {
    const rows = rowsOf(part);
    const [row, column] = cursors.get(part) ?? [0, 0];
    const place = [Math.min(Math.max(row + down, 0), rows.length - 1)];
    place.push(Math.min(Math.max(column + across, 0), rows[place[0]].length - 1));
    cursors.set(part, place);
    const found = entryOf(rows[place[0]][place[1]]);
    if (!found) return;
    if (keeping) keep(found);
    else show(found);
  }

  document.addEventListener("focusin", ({ target }) => {
    if (!target.matches(PARTS) || pinned || busy() || !target.matches(":focus-visible")) return;
    const box = target.getBoundingClientRect();
    aside(box.left + box.width / 2, innerHeight);
    move(target, [0, 0], false);
  });
  document.addEventListener("focusout", ({ target }) => target.matches(PARTS) && !pinned && hide());

  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (key === "Escape" && shown !== null) hide();
    if (
      !(target instanceof Element) ||
      !target.matches(PARTS) ||
      event.altKey ||
      event.ctrlKey ||
      event.metaKey
    )
      return;
    if (!(key in MOVES) && key !== "Enter" && key !== " ") return;
    event.preventDefault();
    if (key in MOVES) pinned = false;
    move(target, MOVES[key] ?? [0, 0], !(key in MOVES));
  });

  page.onChange(() => {
    if (!pinned) return;
    const { quantity, index } = page.panel.element.dataset;
    shown = null;
    show({ quantity, index: index ? index.split(",").map(Number) : [] }, true);
  });
})(chainrule.page);
