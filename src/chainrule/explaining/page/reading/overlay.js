// Lights on the page: outlines of cells on maps, marked cells of matrices and bars, symbols, nodes.
//
//   page.outline(map, places, kind)   a line around cells [row, column] of an svg.map; data-cells lists them
//   page.light(entries, kind)         entries {id, index} on every figure; kinds: target, source, silent
//   page.lightTensor(id)              a whole tensor: its figures, its symbols, its layer in the picture
//   page.dark()                       takes all lights away
//   page.picture(id, index, entries)  a map of the tensor around an entry, with other entries outlined
"use strict";
((page) => {
  const { make, draw, document: report } = page;
  const at = chainrule.arrays;
  const MOST_CELLS = 4096;
  const listed = (text) => (text ? text.split(",").map(Number) : []);
  let lit = [];

  // -- outlines --------------------------------------------------------------------------------------------
  /** The border of a set of cells, as a path. */
  function border(places) {
    const there = new Set(places.map(String));
    const open = (row, column) => !there.has(`${row},${column}`);
    return places
      .map(([row, column]) =>
        [
          open(row - 1, column) ? `M${column} ${row}h1` : "",
          open(row + 1, column) ? `M${column} ${row + 1}h1` : "",
          open(row, column - 1) ? `M${column} ${row}v1` : "",
          open(row, column + 1) ? `M${column + 1} ${row}v1` : "",
        ].join(""),
      )
      .join("");
  }

  page.outline = (map, places, kind) => {
    const path = border(places);
    const cells = places.map(String).sort().join(" ");
    const group = draw(
      "g",
      { class: `outline ${kind}`, "data-cells": cells },
      draw("path", { class: "halo", d: path }),
      draw("path", { d: path }),
    );
    map.append(group);
    return group;
  };

  // -- entries ---------------------------------------------------------------------------------------------
  function onPanels(figure, entries, kind) {
    const axes = listed(figure.dataset.axes);
    for (const panel of figure.querySelectorAll(".panel")) {
      const fixed = panel.dataset.index ?? "";
      const places = entries
        .filter(({ index }) => index.filter((_, axis) => !axes.includes(axis)).join() === fixed)
        .map(({ index }) => axes.map((axis) => index[axis]));
      if (places.length) lit.push({ element: page.outline(panel.querySelector(".map"), places, kind) });
    }
  }

  function mark(element, name) {
    element.classList.add(name);
    lit.push({ element, name });
  }

  page.light = (entries, kind) => {
    const byId = new Map();
    for (const one of entries) byId.set(one.id, [...(byId.get(one.id) ?? []), one]);
    for (const { figure, quantity } of page.figures) {
      const own = byId.get(quantity);
      if (!own) continue;
      if (figure.classList.contains("maps")) onPanels(figure, own, kind);
      else
        for (const cell of own.flatMap(({ index }) => page.cells(quantity, index)))
          if (figure.contains(cell)) mark(cell, `lit-${kind}`);
    }
  };

  // -- whole tensors ---------------------------------------------------------------------------------------
  const layerOf = (id) => id.replace(/^(delta|gradient|given):/, "").split(".")[0];

  page.lightTensor = (id) => {
    for (const one of document.querySelectorAll(`[data-ref="${CSS.escape(id)}"]`)) mark(one, "lit");
    for (const { figure, quantity } of page.figures) if (quantity === id) mark(figure, "lit");
    for (const node of document.querySelectorAll(`.node[data-layer="${CSS.escape(layerOf(id))}"]`))
      mark(node, "lit");
  };

  page.dark = () => {
    for (const { element, name } of lit) name ? element.classList.remove(name) : element.remove();
    for (const spot of document.querySelectorAll("main .spot:not(.edited)")) spot.remove();
    lit = [];
  };

  // -- maps of the panel -----------------------------------------------------------------------------------
  /** Which axes of a tensor run down and across, samples last; one axis runs across alone. */
  page.axesOf = (id) => {
    const rank = report.tensors[id].shape.length;
    const learned =
      id.replace(/^gradient:/, "").includes(".") && !/^(delta|given):/.test(id) && !page.graph.layers.has(id);
    if (learned) return { 1: [0], 2: [0, 1] }[rank] ?? [1, 2];
    return { 1: [], 2: [0] }[rank] ?? [0, 1];
  };

  /** A panel's map of values in row-major order, as svg.panel_map draws it. */
  page.drawMap = (values, [rows, columns], scale, cell) => {
    const map = draw("svg", {
      class: cell < 9 ? "map" : "map gaps",
      viewBox: `0 0 ${columns} ${rows}`,
      width: cell * columns,
      height: cell * rows,
      preserveAspectRatio: "none",
    });
    const cells = values.map((value, i) =>
      draw("rect", { class: `k${page.level(value, scale)}`, x: i % columns, y: Math.floor(i / columns) }),
    );
    map.append(draw("g", { class: "cells" }, cells), draw("g", { class: "marks" }));
    return map;
  };

  /** {values, size, axes, fixed} of the map in which an entry lies. */
  page.mapAround = (id, index) => {
    const { shape, data } = page.tensor(id);
    const axes = page.axesOf(id);
    const [down, across] = axes.length === 1 ? [null, axes[0]] : axes;
    const size = [down === null ? 1 : shape[down], across === undefined ? 1 : shape[across]];
    const place = [...index];
    const values = Array.from({ length: size[0] * size[1] }, (_, i) => {
      if (down !== null && down !== undefined) place[down] = Math.floor(i / size[1]);
      if (across !== undefined) place[across] = i % size[1];
      return data[at.flat(shape, place)];
    });
    return { values, size, axes, fixed: index.filter((_, axis) => !axes.includes(axis)) };
  };

  page.largest = (id) => {
    const { data } = page.tensor(id);
    return data.reduce((most, value) => (Math.abs(value) > most ? Math.abs(value) : most), 0);
  };

  page.picture = (id, index, entries, width = 132) => {
    const [rows, columns] = page.axesOf(id).reduce(
      (size, axis, n, { length }) => {
        size[length === 1 ? 1 : n] = report.tensors[id].shape[axis];
        return size;
      },
      [1, 1],
    );
    if (!page.tensor(id) || rows * columns > MOST_CELLS || rows * columns < 2) return null;
    const { values, size, axes, fixed } = page.mapAround(id, index);
    const map = page.drawMap(
      values,
      size,
      page.largest(id),
      Math.max(2, Math.min(14, width / Math.max(...size))),
    );
    const placeOf = (entry) => (axes.length === 1 ? [0, entry[axes[0]]] : axes.map((axis) => entry[axis]));
    const here = entries.filter(
      (one) => one.index.filter((_, axis) => !axes.includes(axis)).join() === fixed.join(),
    );
    for (const kind of ["source", "silent", "target"]) {
      const places = here.filter((one) => one.kind === kind).map((one) => placeOf(one.index));
      if (places.length) page.outline(map, places, kind);
    }
    const where = fixed.length
      ? make(
          "span",
          { class: "fixed" },
          `[${report.tensors[id].shape.map((_, axis) => (axes.includes(axis) ? ":" : index[axis])).join(", ")}]`,
        )
      : null;
    return make(
      "figure",
      { class: "panel", "data-quantity": id, "data-fixed": fixed.join() },
      map,
      make("figcaption", {}, id.replace("delta:", "δ ").replace("gradient:", `∂${page.loss}/∂`), " ", where),
    );
  };
})(chainrule.page);
