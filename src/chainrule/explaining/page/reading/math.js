// Elements as MathML, in the letters of the page: page.letter(id, index, card), page.symbols, page.figures
// of numbers.
"use strict";
((page) => {
  const { document: report, number } = page;
  const NAMES = { d: "δ", maximum: "max", minimum: "min" };
  const MOST = 9; // arguments of a function that are written out

  const tag = (name, ...children) => {
    const element = document.createElementNS("http://www.w3.org/1998/Math/MathML", name);
    element.append(...children.flat(9));
    return element;
  };
  const mo = (text) => tag("mo", text);
  const mn = (text) => tag("mn", text);
  const row = (...parts) => tag("mrow", ...parts);
  const fence = (inner, open = "(", close = ")") => {
    const signs = [open, close].map(mo);
    signs.forEach((sign, n) => {
      sign.setAttribute("stretchy", "false");
      sign.setAttribute("form", n ? "postfix" : "prefix");
    });
    return row(signs[0], inner, signs[1]);
  };

  // -- letters: those of the formulas of a card, with the entry's index ------------------------------------
  /** The parts of a letter of a formula: {base, sup}, without its general indices. */
  function partsOf(found) {
    const letter = found.localName === "mrow" ? found.firstElementChild : found;
    const [base, ...scripts] = ["msup", "msub", "msubsup"].includes(letter.localName)
      ? [...letter.children]
      : [letter];
    const sup = { msup: scripts[0], msubsup: scripts[1] }[letter.localName];
    const plain = base.querySelector("mover > mi") ?? base;
    const bracketed = sup?.localName === "mrow" && sup.firstElementChild.textContent === "(";
    const number =
      sup?.localName === "mrow" && !bracketed
        ? [...sup.children].find((part) => part.localName === "mn")
        : sup;
    return { base: plain, sup: number };
  }

  function indexed({ base, sup }, index) {
    const scripts = [index.length ? row(mn(index.join(", "))) : null, sup?.cloneNode(true)];
    const name = { 11: "msubsup", 10: "msub", "01": "msup", "00": null }[
      scripts.map((one) => (one ? 1 : 0)).join("")
    ];
    const copy = base.cloneNode(true);
    return name ? tag(name, copy, ...scripts.filter(Boolean)) : copy;
  }

  const letters = new Map();

  /** Where a formula of the cards names a tensor: those of `articles` first. */
  function named(id, layer) {
    const key = `${id} ${layer}`;
    if (!letters.has(key)) {
      const places = layer
        ? [...document.querySelectorAll(`article[data-layer="${CSS.escape(layer)}"]`), document]
        : [document];
      const all = places.flatMap((place) => [
        ...place.querySelectorAll(`math [data-ref="${CSS.escape(id)}"]`),
      ]);
      letters.set(key, all[0]?.firstElementChild ?? null);
    }
    return letters.get(key);
  }

  /** An index as it is printed: vectors that a step of a sequence reads count as those of the network do. */
  function placed(id, index, layer) {
    if (id && page.first(id).length) return page.printed(id, index);
    const own = page.graph.layers.get(layer);
    const inner = !id || report.tensors[id]?.shape.length !== index.length;
    const vectors = own && (own.kind === "recurrent" || own.input_shape.length + own.shape.length <= 2);
    if (!report.theta || !vectors || !inner || !index.length || index.length > 2) return index;
    return [index[0] + 1, ...index.slice(1)];
  }

  /** The letter of an entry; name: where no formula of the page has one; "a_0": the 1 in front of id. */
  page.letter = (id, place, layer, name = id) => {
    const found = id ? named(id, layer) : null;
    const index = name === chainrule.ONES ? place : placed(id, place, layer);
    if (!found) return indexed({ base: tag("mi", NAMES[name] ?? name) }, index);
    if (found.localName !== "mfrac") return indexed(partsOf(found), index);
    const fraction = found.cloneNode(true);
    const below = fraction.lastElementChild;
    const letter = below.lastElementChild;
    letter.replaceWith(indexed(partsOf(letter), index));
    return fraction;
  };

  // -- elements --------------------------------------------------------------------------------------------
  const signed = (value, digits) => {
    const text = number(Math.abs(value), digits);
    const [mantissa, power] = text.split("e");
    const size = power ? row(mn(mantissa), mo("·"), tag("msup", mn("10"), mn(power))) : mn(text);
    return value < 0 ? row(mo("−"), size) : size;
  };
  const negative = (element) => element.kind === "negative" || (!element.of && element.value < 0);

  function calls(name, of, inner) {
    const parts = of.map(inner);
    if (name === "divide" || name === "ratio") return tag("mfrac", parts[0], parts[1]);
    if (name === "sqrt") return tag("msqrt", parts[0]);
    if (name === "power")
      return of[1].value === 0.5 ? tag("msqrt", parts[0]) : tag("msup", fence(parts[0]), parts[1]);
    if (name === "exp") return tag("msup", tag("mi", "e"), parts[0]);
    if (name === "raised") return tag("msup", fence(parts[0]), parts[1]);
    if (name === "floor") return fence(parts[0], "⌊", "⌋");
    if (name === "absolute") return fence(parts[0], "|", "|");
    if (name === "greater") return fence(row(parts[0], mo(">"), parts[1]), "[", "]");
    if (name === "xlogy") return row(parts[0], mo("·"), tag("mi", "log"), fence(parts[1]));
    if (name === "log1p") return row(tag("mi", "log"), fence(row(mn("1"), mo("+"), parts[0])));
    const shown = parts.length > MOST ? [...parts.slice(0, 3), mo("⋯")] : parts;
    const listed = shown.flatMap((part, n) => (n ? [mo(","), part] : [part]));
    return row(tag("mi", NAMES[name] ?? name), fence(row(listed)));
  }

  /** A printed number. */
  const printed = (text) => (text.startsWith("−") ? row(mo("−"), mn(text.slice(1))) : mn(text));

  /** An element with `leaf` for its entries; main: a sum that is shown as its printed total, `numbers` (null in
   *  a line of letters); digits: of the other numbers. */
  function written(element, leaf, main, numbers, digits) {
    const inner = (one) => written(one, leaf, main, numbers, digits);
    if (element === main && numbers) return printed(numbers);
    if (element.kind === "entry") return leaf(element);
    if (element.kind === "number") return signed(element.value, digits);
    if (element.kind === "negative")
      return row(mo("−"), element.of[0].of ? fence(inner(element.of[0])) : inner(element.of[0]));
    if (element.kind === "product") {
      const factors = element.of.map((one, n) =>
        (one.kind === "sum" && !(numbers && one === main)) || (n && negative(one) && numbers)
          ? fence(inner(one))
          : inner(one),
      );
      return row(factors.flatMap((one, n) => (n ? [mo("·"), one] : [one])));
    }
    if (element.kind !== "sum") return calls(element.name, element.of, inner);
    const shown = element.of.length > 4 ? element.of.slice(0, 3) : element.of;
    const parts = shown.flatMap((one, n) => {
      if (one.kind === "negative")
        return [mo("−"), one.of[0].kind === "sum" ? fence(inner(one.of[0])) : inner(one.of[0])];
      return [...(n ? [mo("+")] : []), n && numbers && negative(one) ? fence(inner(one)) : inner(one)];
    });
    return row(parts, shown.length < element.of.length ? [mo("+"), mo("⋯")] : []);
  }

  const math = (inner) => tag("math", inner);
  page.math = {
    math,
    row,
    tag,
    symbols: (element, leaf) => math(written(element, leaf, null, null)),
    numbers: (element, main, total, digits) =>
      math(written(element, (one) => signed(one.value, digits), main, total || "0", digits)),
  };
})(chainrule.page);
