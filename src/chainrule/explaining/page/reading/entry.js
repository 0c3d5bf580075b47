// The panel: how an entry is computed, in one card.  page.panel.show(id, index, pinned), hide(), element.
//
// A sum is a table of its products, which add up as printed; of a long one the three largest and the rest.
// What is no sum is a line: symbols = numbers = result.  Below it the tensors it is made of, with the
// entries that count.
"use strict";
((page) => {
  const { make, say, words, number, column, equality } = page;
  const MOST_TERMS = 8; // of a sum that is shown in full
  const LISTED = 400; // terms of a list on demand
  const body = make("div", { class: "reading-body" });
  const close = make(
    "button",
    { type: "button", class: "close", "aria-label": words("close", "关闭"), click: () => page.panel.hide() },
    "×",
  );
  const element = make(
    "aside",
    {
      id: "reading",
      hidden: true,
      "aria-live": "polite",
      "aria-label": words("How this number comes about", "这个数的来历"),
    },
    close,
    body,
  );

  // -- words -----------------------------------------------------------------------------------------------
  /** What a tensor is, as the captions of its pictures say it. */
  function about(id) {
    const [, kind, name] = /^(?:(delta|gradient):)?(.*)$/s.exec(id);
    if (kind === "delta")
      return name === "input"
        ? say("δ at the input", "输入处的 δ")
        : say(`δ at the output of ${name}`, `${name} 输出处的 δ`);
    if (kind === "gradient") return say(`∂J/∂${name}`, `∂J/∂${name}`);
    if (page.graph.layers.has(id)) return say(`the output of ${id}`, `${id} 的输出`);
    if (id === "input") return say("the input", "输入");
    return id === "y" ? say("the target", "目标") : say(`the parameter ${id}`, `参数 ${id}`);
  }

  const sampled = (id) => page.graph.layers.has(id) || /^delta:/.test(id) || id === "input" || id === "y";

  // -- letters of a derivation -----------------------------------------------------------------------------
  const hasSamples = ([, role, kind]) =>
    !role.replace(/^(data )?gradient of /, "").startsWith("parameter ") && kind !== "scalar";

  /** Whether the sample's index is to be shown: where entries of several meet. */
  function mixes(quantity, sources) {
    return (
      !sampled(quantity) ||
      new Set(sources.filter(({ id }) => sampled(id)).map(({ index }) => index.at(-1))).size > 1
    );
  }

  const leafOf =
    ({ ids, layer }, withSample) =>
    ({ symbol, name, index = [] }) => {
      const short = symbol && hasSamples(symbol) && !withSample ? index.slice(0, -1) : index;
      if (name === chainrule.ONES) return page.letter(ids.x, short, layer?.name, name);
      return page.letter(
        symbol ? ids[symbol[0]] : null,
        symbol ? short : withSample ? index : index.slice(0, -1),
        layer?.name,
        name,
      );
    };

  // -- terms -----------------------------------------------------------------------------------------------
  const plain = (element) => (element.kind === "negative" ? element.of[0] : element);
  const factorsOf = (term) =>
    plain(term).kind === "product"
      ? plain(term)
          .of.map(({ value }) => number(value))
          .join(" · ")
      : "";

  function rowOf(what, factors, printed, value, largest) {
    const width = largest ? (Math.abs(value) / largest) * 100 : 0;
    const bar = make(
      "td",
      { class: value < 0 ? "bar minus" : "bar plus" },
      make("i", { style: `width:${width.toFixed(0)}%` }),
    );
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, what),
      make("td", {}, factors),
      make("td", { class: "product" }, printed),
      bar,
    );
  }

  /** The table of terms {what, factors, value}, of its three largest where it is long, then all of them on
   *  demand; `more`: terms that are shown in any case, behind them.
   */
  function table(terms, value, kind = "terms") {
    const { terms: printed, total, exact } = column(
      terms.map((one) => one.value),
      value,
    );
    const largest = Math.max(0, ...terms.map((one) => Math.abs(one.value)).filter(Number.isFinite));
    const rows = terms.map((one, n) => rowOf(one.what(), one.factors, printed[n], one.value, largest));
    const sum = make(
      "tr",
      {},
      make("th", { scope: "row" }, exact ? "Σ" : "Σ ≈"),
      make("td"),
      make("td", { class: exact ? "product total" : "product total rounded" }, total),
      make("td"),
    );
    return make(
      "div",
      { class: "scroll" },
      make("table", { class: kind }, make("tbody", {}, rows), make("tfoot", {}, sum)),
    );
  }

  /** The table of terms {what, factors, value}, of its three largest where it is long, then all of them on
   *  demand; `more`: terms that are shown in any case, behind them.
   */
  page.terms = (terms, value, more = []) => {
    if (terms.length <= MOST_TERMS) return [table([...terms, ...more], value)];
    const bySize = [...terms].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    const rest = terms.length - 3;
    const others = {
      what: () => say(`other ${rest} terms`, `其余 ${rest} 项`),
      factors: "",
      value: bySize.slice(3).reduce((total, one) => total + one.value, 0),
    };
    const all = make(
      "details",
      { class: "more", toggle: () => all.open && all.children.length < 2 && all.append(list()) },
      make("summary", {}, say(`all ${terms.length} terms`, `全部 ${terms.length} 项`)),
    );
    const list = () =>
      terms.length <= LISTED
        ? table([...terms, ...more], value, "terms all")
        : make(
            "p",
            { class: "quiet" },
            say(
              `The list of ${terms.length} terms is too long for a page.`,
              `${terms.length} 项，列表过长。`,
            ),
          );
    return [table([...bySize.slice(0, 3), others, ...more], value), all];
  };

  const termsOf = (sum, leaf) =>
    sum.of.map((term) => ({
      what: () => page.math.symbols(term, leaf),
      factors: factorsOf(term),
      value: term.value,
    }));
  const sums = (sum, leaf) => page.terms(termsOf(sum, leaf), sum.value);

  /** A maximum: who took part, who won, who ties. */
  function maximum(element, leaf) {
    const won = chainrule.arrays.winner(element.of.map(({ value }) => value));
    const rows = element.of.map((one, n) => {
      const said =
        n === won
          ? say("wins", "取胜")
          : one.value === element.value
            ? say("ties, and does not win", "并列，未取胜")
            : "";
      return make(
        "tr",
        { class: n === won ? "won" : null },
        make("th", { scope: "row" }, page.math.symbols(one, leaf)),
        make("td", { class: "product" }, number(one.value)),
        make("td", { class: "said" }, said),
      );
    });
    return make("div", { class: "scroll" }, make("table", { class: "terms" }, make("tbody", {}, rows)));
  }

  const mainSum = (element) =>
    element.kind === "sum" && element.of.length > 3
      ? element
      : ((element.of ?? []).map(mainSum).find(Boolean) ?? null);

  /** One part: lines and tables. */
  function worked(part, withSample) {
    const { element: root } = part;
    const leaf = leafOf(part, withSample);
    if (root.kind === "sum") return sums(root, leaf);
    if (root.kind === "call" && root.name === "max" && root.of.length > 1) return [maximum(root, leaf)];
    const main = mainSum(root);
    const { total } = main ? column(main.of.map((one) => one.value), main.value) : { total: "" };
    const { digits, given, gives } = page.line(root, main, total);
    const line = make(
      "p",
      { class: "line" },
      page.math.symbols(root, leaf),
      ` ${given} `,
      root.kind === "entry"
        ? make("b", {}, number(root.value))
        : [page.math.numbers(root, main, total, digits), ` ${gives} `, make("b", {}, number(root.value))],
    );
    return [line, ...(main ? sums(main, leaf) : [])];
  }

  const asTerm = ({ layer, note, element: own }) => ({
    what: () => (note ? say(note.en, note.zh) : say(`through ${layer.name}`, `经 ${layer.name}`)),
    factors: note && layer ? layer.name : "",
    value: own.value,
  });

  /** Several parts: a sum with what is added to it, as a penalty; else a term for every part. */
  function together(parts, value, withSample) {
    const [first, ...more] = parts;
    const longest = first.element.kind === "sum" && !first.note && more.every(({ layer }) => !layer);
    if (longest)
      return page.terms(termsOf(first.element, leafOf(first, withSample)), value, more.map(asTerm));
    return [table(parts.map(asTerm), value)];
  }

  // -- what is said about windows --------------------------------------------------------------------------
  function remarks(quantity, parts, sources) {
    const [part] = parts;
    if (parts.length !== 1 || !part.layer) return null;
    if (part.root === "delta") {
      const reached = sources.filter(({ id, index: place }) => id === part.ids.d && place.length > 2);
      const count = (of) => new Set(of.map(({ index: place }) => place.slice(0, -2).join())).size;
      const [windows, silent] = [count(reached), count(reached.filter((one) => one.silent))];
      if (!windows || (windows === 1 && !silent)) return null;
      const { name } = part.layer;
      const [won, zh] = silent
        ? [`, and wins ${windows - silent}`, `，在其中 ${windows - silent} 个里取胜`]
        : ["", ""];
      return make(
        "p",
        { class: "quiet" },
        say(
          `It lies in ${windows} window${windows === 1 ? "" : "s"} of ${name}${won}`,
          `它位于 ${name} 的 ${windows} 个窗口中${zh}`,
        ),
      );
    }
    return null;
  }

  // -- the tensors it is made of ---------------------------------------------------------------------------
  function pictures(quantity, index, parts, sources) {
    const found = new Map();
    for (const one of sources) {
      const best = found.get(one.id);
      if (!best || one.size > best.size) found.set(one.id, one);
    }
    const entries = sources.map((one) => ({ ...one, kind: one.silent ? "silent" : "source" }));
    const maps = [...found.values()].slice(0, 3).map((one) =>
      page.picture(
        one.id,
        one.index,
        entries.filter(({ id }) => id === one.id),
      ),
    );
    return make("div", { class: "panels" }, maps);
  }

  // -- showing ---------------------------------------------------------------------------------------------
  const told = (value) => {
    const text = value === null ? "?" : number(value);
    return [` ${value === null ? "=" : equality(text, value)} `, make("b", {}, text)];
  };

  function heading(quantity, index, value, layer) {
    const shown = sampled(quantity) ? index.slice(0, -1) : index;
    const sample = sampled(quantity) ? say(`sample ${index.at(-1)}`, `样本 ${index.at(-1)}`) : null;
    const title = make(
      "div",
      { class: "what" },
      about(quantity),
      make("code", {}, `[${page.printed(quantity, shown).join(", ")}]`),
      sample,
    );
    const letter = page.math.math(page.letter(quantity, shown, layer));
    return make(
      "header",
      {},
      title,
      make("p", { class: "value" }, letter, ...told(value)),
    );
  }

  page.panel = {
    element,
    body,
    show(quantity, index, pinned = false) {
      const { value, parts, reason } = page.derivation(quantity, index);
      const sources = page.sources(parts);
      const withSample = mixes(quantity, sources);
      const layer = parts[0]?.layer?.name ?? (page.graph.layers.has(quantity) ? quantity : undefined);
      const said = reason
        ? make("p", { class: "reason" }, say(reason.en, reason.zh))
        : remarks(quantity, parts, sources);
      const given =
        !parts.length && !reason
          ? make("p", { class: "quiet" }, say("given: nothing computes it", "给定的数，不由别的数算出"))
          : null;
      const how =
        parts.length === 1
          ? worked(parts[0], withSample)
          : parts.length
            ? together(parts, value, withSample)
            : [];
      const maps = parts.length ? pictures(quantity, index, parts, sources) : null;
      body.replaceChildren(
        heading(quantity, index, value, layer),
        ...[said, given, ...how, maps].filter(Boolean),
      );
      element.dataset.quantity = quantity;
      element.dataset.index = index.join();
      element.classList.toggle("pinned", pinned);
      element.hidden = false;
      return sources;
    },
    hide() {
      element.hidden = true;
      element.classList.remove("pinned");
      page.dark();
      page.panel.hidden?.();
    },
  };
  document.body.append(element);
})(chainrule.page);
