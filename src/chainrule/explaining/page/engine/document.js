// The document of a page, as explaining/render/html/document.py writes it: formulas that layers have in common are there once.
"use strict";
((chainrule) => {
  /** The document of its text; every layer has its formulas again. */
  function read(text) {
    const found = JSON.parse(text);
    const { formulas } = found.graph;
    for (const layer of chainrule.layersOf(found.graph.layers)) {
      if (typeof layer.formulas === "number") layer.formulas = formulas[layer.formulas];
    }
    return found;
  }

  Object.assign(chainrule, { read });
})((globalThis.chainrule ??= {}));
