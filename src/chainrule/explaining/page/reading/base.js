// What all scripts of the interface share: chainrule.page, the base of everything a page does beside being read.
//
//   document            the document of the report
//   tensor(id)          {shape, data, values} as the page has it now; null where it is frozen
//   change(changes)     {id: array}: compute with these in place of the document's; {} takes them back
//   passes()            all passes with the changes (engine/passes.js); onChange(f)
//   say(en, zh)         a node that follows the choice of the language; words(en, zh): the text for an attribute
//   loss                the letter of the loss in the page's notation: J or C
//   make, draw          elements of HTML and of SVG: make("p", {class: "x"}, child, "text", ...)
//   number(value)       as the report prints it; column(terms, total): terms that add up as printed
//   first(id)           the number with which each index of a tensor begins; printed(id, index): as it is printed
//   isTheta(id)         whether it is the Θ of a dense layer
//   equality(text, value)  "=" where the printed digits are the value, "≈" where they are rounded
//   equals(value)       the number behind that sign
//   cells(id, index)    the elements that show an entry;  entry(element, event): {quantity, index} of one
//   figures             [{figure, quantity, picture}]: what shows a quantity; picture: its JSON in the document
//   select(id, index)   what is selected; selected, onSelect(f): f(selected, before)
//   check(name, f)      a test of handlers that #selftest runs: f returns true or says what is wrong
//   ready(f)            f runs when every script has run
"use strict";
((chainrule) => {
  const embedded = chainrule.read(document.getElementById("document").textContent);
  const languages = document.documentElement.dataset.language.split("+");

  // -- elements --------------------------------------------------------------------------------------------
  function build(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.flat(9).filter((child) => child !== null && child !== undefined));
    return element;
  }
  /** An element; a function among the attributes listens to the event of that name; null is left out. */
  const make = (tag, attributes, ...children) => build(document.createElement(tag), attributes, children);
  const draw = (tag, attributes, ...children) =>
    build(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

  /** Text with `code` in it. */
  const marked = (text) =>
    text.split("`").map((part, n) => (n % 2 ? make("code", {}, part) : part)).filter((part) => part !== "");

  // The loss in the letter of the page's notation: texts are written with J.
  const loss = document.documentElement.dataset.loss ?? "J";
  const lettered = (text) => text.replace(/(?<![A-Za-z0-9_.`])J(?![A-Za-z0-9_`]|\.\w)/g, loss);

  /** A text in the page's languages, as Voice.inline writes it. */
  function say(en, zh) {
    const texts = { en: lettered(en), zh: lettered(zh) };
    if (languages.length === 1 || en === zh) return make("span", {}, marked(texts[languages[0]]));
    const [first, second] = languages.map((lang) => make("span", { lang }, marked(texts[lang])));
    return make("span", {}, first, " ", second);
  }
  const words = (en, zh) =>
    lettered(en === zh ? en : languages.map((lang) => ({ en, zh })[lang]).join(" / "));

  // -- numbers: base/numbers.py in JavaScript -------------------------------------------------------------------
  const [DIGITS, MOST_DECIMALS, MORE_DECIMALS] = [4, 12, 6];
  const typographic = (text) => text.replaceAll("-", "−");
  const digitsOf = (text) => BigInt(text.replace(".", ""));

  /** An integer number of 10^-places as text. */
  function pointed(integer, places) {
    const digits = (integer < 0n ? -integer : integer).toString().padStart(places + 1, "0");
    const split = digits.length - places;
    return (integer < 0n ? "-" : "") + digits.slice(0, split) + (places ? `.${digits.slice(split)}` : "");
  }

  /** x with so many decimals; a tie is rounded to even, as in Python (toFixed rounds it up). */
  function fixed(x, places) {
    const text = x.toFixed(places);
    const size = Math.abs(x);
    const rest = size < 1e20 && places <= 40 ? size.toFixed(places + 60).slice(-60) : "";
    const up = /^50+$/.test(rest) && digitsOf(text) % 2n !== 0n;
    return up ? pointed(digitsOf(text) - (x < 0 ? -1n : 1n), places) : text;
  }

  /** A number with so many significant digits: 0.5204, −12.3, 2.1e−7. */
  function number(value, digits = DIGITS) {
    if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
    if (value === 0) return "0";
    const exponent = Number(value.toExponential(digits - 1).split("e")[1]);
    const shortened = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
    if (exponent >= digits && exponent < 7) return typographic(fixed(value, 0));
    if (exponent < -4 || exponent >= digits) {
      const [mantissa, power] = value.toExponential(digits - 1).split("e");
      return typographic(`${shortened(mantissa)}e${Number(power)}`);
    }
    return typographic(shortened(fixed(value, digits - 1 - exponent)));
  }

  /** "=" where the digits of a printed number are the value itself, "≈" where they are rounded. */
  function equality(text, value) {
    const shown = Number(text.replaceAll("−", "-"));
    return Number.isNaN(shown) || shown === value ? "=" : "≈";
  }
  const equals = (value, digits = DIGITS) => {
    const text = number(value, digits);
    return `${equality(text, value)} ${text}`;
  };

  /** {terms, total, exact} as printed: every number rounded as it is, with as many decimals as let the printed
   *  terms add up exactly to the printed total; exact: false where six decimals more do not. */
  function column(terms, total) {
    if (![...terms, total].every(Number.isFinite))
      return { terms: terms.map((x) => number(x)), total: number(total), exact: true };
    const needed = (size) => (size ? DIGITS - 1 - Math.floor(Math.log10(size)) : -Infinity);
    const largest = Math.max(0, Math.abs(total), ...terms.map(Math.abs));
    const most = Math.max(needed(largest), needed(Math.abs(total)));
    const least = largest ? Math.max(0, Math.min(most + 1, MOST_DECIMALS)) : DIGITS;
    const fewer = least > 0 && least < MOST_DECIMALS ? [least - 1] : [];
    const more = Array.from({ length: MORE_DECIMALS }, (_, n) => least + 1 + n);
    const rounded = (places) => {
      const printed = terms.map((term) => digitsOf(fixed(term, places)));
      const sum = digitsOf(fixed(total, places));
      return { places, printed, sum, exact: printed.reduce((all, term) => all + term, 0n) === sum };
    };
    const tried = [least, ...fewer, ...more].find((places) => rounded(places).exact) ?? least;
    const { printed, sum, exact, places } = rounded(tried);
    const text = (integer) => (integer === 0n ? "0" : typographic(pointed(integer, places)));
    return { terms: printed.map(text), total: text(sum), exact };
  }

  // -- the document's numbers ------------------------------------------------------------------------------
  const MOST_PRODUCTS = 4e8; // of one computation of everything: about a second, more would stop the page
  let changes = {};
  let computed = null;

  /** How many products a forward pass takes, about: every weight once per position and sample. */
  function products() {
    const { sizeOf } = chainrule.arrays;
    const samples = embedded.tensors.input.shape.at(-1);
    return chainrule.layersOf(embedded.graph.layers).reduce((sum, layer) => {
      const positions = sizeOf(layer.shape.slice(0, -1));
      const sizes = Object.values(layer.parameters ?? {}).map((id) => sizeOf(embedded.tensors[id].shape));
      return sum + samples * positions * sizes.reduce((a, b) => a + b, 0);
    }, 0);
  }

  const affordable = () => 3 * products() <= MOST_PRODUCTS;
  const passes = () => (computed ??= chainrule.passes(embedded, changes));

  /** The array of an id in a result of `passes`. */
  function among(found, id) {
    const [kind, name] = /^(delta|gradient):/.test(id) ? id.split(/:(.*)/s) : ["", id];
    return { delta: found.deltas, gradient: found.gradients, "": found.outputs }[kind]?.[name];
  }

  function array(id) {
    const own = changes[id] ?? null;
    const unchanged = Object.keys(changes).length === 0 ? chainrule.decode(embedded)[id] : null;
    if (own ?? unchanged) return own ?? unchanged;
    if (!(id in embedded.tensors)) return null;
    const later = affordable() ? among(passes(), id) : null;
    return later ?? chainrule.decode(embedded)[id];
  }

  function tensor(id) {
    const found = array(id);
    return found ? { ...found, values: found.data } : null;
  }

  /** The numbers with which the indices of a tensor begin: 0, or what its origin says (Θ and its units). */
  const first = (id) => embedded.tensors[id]?.origin ?? [];
  const printed = (id, index) => index.map((i, axis) => i + (first(id)[axis] ?? 0));

  /** Whether a tensor is the Θ of a dense layer: [b, W]. */
  const isTheta = (id) => (embedded.theta ?? []).some(({ layer }) => id === `${layer}.Θ`);

  // -- listening -------------------------------------------------------------------------------------------
  const listeners = { change: [], select: [] };
  const on = (kind) => (f) => listeners[kind].push(f);
  const tell = (kind, ...what) => listeners[kind].forEach((f) => f(...what));

  function change(wanted) {
    changes = wanted;
    computed = null;
    tell("change", changes);
  }

  const page = {
    document: embedded, languages, loss, make, draw, say, words, number, equality, equals, column, first, printed,
    isTheta, tensor, passes, affordable,
    change, changes: () => changes, onChange: on("change"), onSelect: on("select"), selected: null,
    select(quantity, index) {
      const before = page.selected;
      page.selected = quantity === null ? null : { quantity, index: index && [...index] };
      tell("select", page.selected, before);
    },
  };

  // -- tests of handlers -----------------------------------------------------------------------------------
  const checks = [];
  page.check = (name, f) => checks.push([name, f]);
  page.ready = (f) => document.addEventListener("DOMContentLoaded", f);

  function outcome(f) {
    try {
      return f();
    } catch (error) {
      return String(error);
    }
  }

  // The second implementation of the formulas on the embedded batch, beside the numbers of the first; handlers.
  page.ready(() => {
    if (location.hash !== "#selftest") return;
    const handlers = Object.fromEntries(checks.map(([name, f]) => [name, outcome(f)]));
    const result = { ...chainrule.selftest(embedded), handlers };
    document.body.append(make("pre", { id: "selftest" }, JSON.stringify(result)));
  });

  chainrule.page = page;
})(globalThis.chainrule);
