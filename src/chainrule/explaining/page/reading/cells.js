// Which elements of the page show which entries of which tensor: page.figures, page.cells, page.entry.
"use strict";
((page) => {
  const { document: embedded, draw } = page;
  const PICTURES = "figure.maps, figure.matrix, figure.chart";
  const ON = { forward: ["forward"], backward: ["backward", "gradients"] };
  const listed = (text) => (text ? text.split(",").map(Number) : []);

  // -- figures: a card shows the pictures of its layer in the order of the document ------------------------
  const records = new Map();
  for (const article of document.querySelectorAll("article.card:is(.forward, .backward)")) {
    const card = embedded.cards.find((one) => one.layer === article.dataset.layer);
    const passes = article.classList.contains("forward") ? ON.forward : ON.backward;
    const pictures = (card?.pictures ?? []).filter((picture) => passes.includes(picture.on));
    [...article.querySelectorAll(PICTURES)].forEach((figure, n) => {
      const picture = pictures[n] ?? {};
      const named = picture.quantity === "input of" ? card.tensors.x : figure.dataset.quantity;
      if (named) records.set(figure, { figure, quantity: named, picture });
    });
  }
  page.figures = [...records.values()];

  // -- from an entry to its elements -----------------------------------------------------------------------
  /** An element for the cell of a map, made where the map is one image. */
  function ofMap(panel, row, column) {
    const size = listed(panel.dataset.size);
    const group = panel.querySelector(".cells");
    if (group.querySelector("image") === null) return group.children[row * size[1] + column];
    const own = `rect[x="${column}"][y="${row}"]`;
    if (!group.querySelector(own)) group.append(draw("rect", { class: "spot", x: column, y: row }));
    return group.querySelector(own);
  }

  /** The place of an index in a map: [row, column]; null where it lies in another. */
  function placeIn(figure, panel, index) {
    const axes = listed(figure.dataset.axes);
    const others = index.filter((_, axis) => !axes.includes(axis));
    return others.join() === (panel.dataset.index ?? "") ? axes.map((axis) => index[axis]) : null;
  }

  function inFigure({ figure, picture }, index) {
    if (figure.classList.contains("maps")) {
      return [...figure.querySelectorAll(".panel")].flatMap((panel) => {
        const place = placeIn(figure, panel, index);
        return place ? [ofMap(panel, ...place)] : [];
      });
    }
    if (figure.classList.contains("matrix")) return [...figure.querySelectorAll(`td[data-index="${index}"]`)];
    const [row, group] = [picture.entries?.indexOf(index[0]) ?? -1, picture.samples?.indexOf(index[1]) ?? -1];
    return [...figure.querySelectorAll(`.bar[data-row="${row}"][data-group="${group}"]`)];
  }

  /** The elements that show an entry of a tensor. */
  page.cells = (quantity, index) =>
    page.figures.filter((one) => one.quantity === quantity).flatMap((one) => inFigure(one, index));

  // -- from an element to its entry ------------------------------------------------------------------------
  /** [row, column] of a map: of a cell, or of the point of an event where the map is one image. */
  function placeOf(cell, event, map) {
    if (cell.localName === "rect") return [Number(cell.getAttribute("y")), Number(cell.getAttribute("x"))];
    if (cell.dataset.cell) return listed(cell.dataset.cell);
    if (!event) return null;
    const box = map.getBoundingClientRect();
    const size = listed(map.closest(".panel").dataset.size);
    const along = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
    return along.map((share, axis) => Math.min(Math.max(Math.floor(share * size[axis]), 0), size[axis] - 1));
  }

  function ofPanel(record, cell, event) {
    const panel = cell.closest(".panel");
    const place = placeOf(cell, event, panel.querySelector(".map"));
    if (!place) return null;
    const axes = listed(record.figure.dataset.axes);
    const others = listed(panel.dataset.index);
    const index = Array.from({ length: axes.length + others.length }, (_, axis) => {
      const own = axes.indexOf(axis);
      return own >= 0 ? place[own] : others.shift();
    });
    return { quantity: record.quantity, index };
  }

  /** {quantity, index} of what an element shows; null where it shows no entry. */
  page.entry = (cell, event) => {
    const worked = cell.closest(".worked[data-index]");
    if (worked?.dataset.quantity) {
      return { quantity: worked.dataset.quantity, index: listed(worked.dataset.index) };
    }
    const record = records.get(cell.closest(PICTURES));
    if (!record) return null;
    if (cell.closest("svg.map")) return ofPanel(record, cell, event);
    const td = cell.closest("td[data-index]");
    if (td) return { quantity: record.quantity, index: listed(td.dataset.index) };
    const bar = cell.closest(".bar");
    if (!bar || !record.picture.entries) return null;
    const { entries, samples } = record.picture;
    return { quantity: record.quantity, index: [entries[bar.dataset.row], samples[bar.dataset.group]] };
  };
})(chainrule.page);
