// The quiz: a number of the report is hidden, an answer is typed, and a wrong one is told which mistake gives it.
//
//   #quiz=7              opens it with the order of seed 7
//   page.quiz            start(seed), question(), answer(text), hint(), next(), score(): for tests
"use strict";
((page) => {
  const { dock, document: report, edit, make, number, say, words } = page;
  const ROUND = 10; // questions
  const SHOWN = 8; // terms of a hint

  /** Random numbers in [0, 1) that a seed fixes (mulberry32). */
  function generator(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  // -- answers ---------------------------------------------------------------------------------------------
  /** A typed number: 0.5204, −1.2e-3, 0,52, 1/3; with the unit of its last digit.  null where it is none. */
  function read(text) {
    const plain = text.trim().replaceAll("−", "-").replace(/,(?=\d+($|e))/i, ".").replace(/\s*[·*x×]\s*10\^?/, "e");
    const fraction = /^([^/]+)\/([^/]+)$/.exec(plain);
    if (fraction) {
      const value = Number(fraction[1]) / Number(fraction[2]);
      return Number.isFinite(value) ? { value, unit: 0 } : null;
    }
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain)) return null;
    const [mantissa, exponent = "0"] = plain.toLowerCase().split("e");
    return { value: Number(plain), unit: 10 ** (Number(exponent) - (mantissa.split(".")[1] ?? "").length) };
  }

  /** Whether a typed number is this one: to its own last digit, at least to the third (0.5 %).  What was worked out
   *  with printed digits may be 3 off in the fourth. */
  function isSame({ value, unit }, wanted) {
    if (wanted === 0) return value === 0;
    const fourth = 10 ** (Math.floor(Math.log10(Math.abs(wanted))) - 3);
    const tolerance = Math.max(3 * fourth, Math.min(0.501 * unit, 0.005 * Math.abs(wanted)));
    return Math.abs(value - wanted) <= tolerance;
  }

  // -- the round -------------------------------------------------------------------------------------------
  let seed = 1;
  let round = [];
  let at = 0;
  let hints = 0;
  let done = false;
  let tally = { right: 0, asked: 0, hints: 0 };
  const question = () => round[at] ?? null;

  function start(wanted) {
    seed = wanted;
    edit.settle();
    round = page.questions(generator(seed)).slice(0, ROUND);
    tally = { right: 0, asked: 0, hints: 0 };
    at = -1;
    next();
  }

  function next() {
    at += 1;
    hints = 0;
    done = false;
    hide();
    show();
  }

  /** What an answer is: {right, mistakes}; null where it is no number. */
  function judge(text) {
    const typed = read(text);
    if (!typed || !question()) return null;
    const { value, mistakes } = question();
    if (isSame(typed, value)) return { right: true, mistakes: [] };
    const found = new Map(mistakes.filter((one) => isSame(typed, one.value)).map((one) => [one.name, one]));
    return { right: false, mistakes: [...found.values()] };
  }

  function answer(text) {
    const found = judge(text);
    if (!found) {
      verdict.replaceChildren(say("Type a number: 0.52, −1.2e-3, 1/3.", "请输入一个数：0.52、−1.2e-3、1/3。"));
      return null;
    }
    if (!done) {
      tally.asked += 1;
      tally.right += Number(found.right);
    }
    done = true;
    if (found.right) reveal();
    tell(found);
    showScore();
    return found;
  }

  function tell({ right, mistakes }) {
    verdict.className = right ? "verdict good" : "verdict bad";
    if (right) {
      const value = number(question().value, 6);
      verdict.replaceChildren("✓ ", say(`Right: ${value}.`, `正确：${value}。`));
      return;
    }
    const listed = (key, joint) => mistakes.map((one) => one[key]).join(joint);
    verdict.replaceChildren("✕ ", mistakes.length
      ? say(`Wrong: ${listed("en", "; or ")}.`, `错了：${listed("zh", "；或者")}。`)
      : say("Wrong; no known mistake gives this number.", "错了；没有哪种常见错误会得到这个数。"));
  }

  // -- hints -----------------------------------------------------------------------------------------------
  /** An element of a formula with its numbers. */
  function written({ kind, value, of = [], name }) {
    const inner = of.map((part) =>
      (part.value < 0 || part.kind === "sum" ? `(${written(part)})` : written(part)));
    if (kind === "product") return inner.join(" · ");
    if (kind === "sum") return inner.join(" + ");
    if (kind === "negative") return `−${inner[0]}`;
    if (kind === "call" && name === "divide") return `${inner[0]} / ${inner[1]}`;
    return kind === "call" ? `${name}(${inner.slice(0, 4).join(", ")})` : number(value);
  }

  function formula() {
    const { layer, part, kind } = question();
    const card = kind === "J" || kind === "δL" ? "#card-L" : `article[data-layer="${layer}"]`;
    const wanted = kind === "J" ? [""] : [`[id$="-${part}-sized"]`, `[id$="-${part}-general"]`];
    const found = wanted.map((one) => document.querySelector(`${card} .formula${one}`)).find(Boolean);
    if (!found) return say("There is no formula of it in this page.", "本页没有它的公式。");
    const more = document.querySelector(`${card} .formula[id$="-${part}-and-penalty-sized"]`);
    const second = kind === "J" ? found.parentElement.querySelectorAll(":scope > .formula.general")[1] : more;
    const shown = [found, report.penalty ? second : null].filter(Boolean);
    return make("div", {}, shown.map((one) => one.querySelector(".scroll").cloneNode(true)));
  }

  /** What is done with the sum of the terms. */
  const behind = ({ factor }) => (factor === null ? "" : `;  × f′ ${page.equals(factor)}`);

  function numbers() {
    const { terms, kind } = question();
    if (!terms) return kind === "J" ? losses() : outputs();
    const left = terms.length - SHOWN;
    const rest = left > 0 ? `  + ⋯ (${left})` : "";
    return terms.slice(0, SHOWN).map(written).join("  +  ") + rest + behind(question());
  }

  function losses() {
    const { perSample, penalty } = edit.count() ? page.passes() : edit.start();
    const weights = page.tensor("weights");
    const data = perSample.data.map((x, i) => x * (weights ? weights.data[i] : 1));
    const rest = data.length > SHOWN ? " + ⋯" : "";
    const sum = [...data].slice(0, SHOWN).map((x) => number(x)).join(" + ") + rest;
    return `(${sum}) / ${data.length} + ${number(penalty)}`;
  }

  function outputs() {
    const { index } = question();
    const [a, y] = [page.document.graph.layers.at(-1).name, "y"].map((id) => page.tensor(id));
    const [own, wanted] = [a, y].map((x) => page.equals(x.data[chainrule.arrays.flat(x.shape, index)]));
    return `a ${own}, y ${wanted}, m = ${y.shape.at(-1)}`;
  }

  function firstTerms() {
    const { terms, value } = question();
    if (!terms || terms.length < 2) return say(`about ${number(value, 2)}`, `约为 ${number(value, 2)}`);
    const few = Math.max(1, Math.ceil(terms.length / 2));
    const sum = terms.slice(0, few).reduce((total, term) => total + term.value, 0);
    const { terms: shown, total, exact } = page.column(terms.slice(0, few).map((term) => term.value), sum);
    const sign = exact ? page.equality(number(sum), Number(total.replaceAll("−", "-"))) : "≈";
    return `${shown.join(" + ")} ${sign} ${number(sum)}, + ⋯ (${terms.length - few})`;
  }

  const HINTS = [
    [say("formula", "公式"), formula], [say("with numbers", "代入数值"), numbers], [say("first terms", "前几项"), firstTerms],
  ];

  function hint() {
    if (!question() || hints >= HINTS.length) return;
    const [label, text] = HINTS[hints];
    hints += 1;
    tally.hints += Number(!done);
    const name = make("span", { class: "label" }, label.cloneNode(true));
    clues.append(make("div", { class: "clue" }, name, make("div", { class: "scroll" }, text())));
    more.disabled = hints >= HINTS.length;
    showScore();
  }

  // -- hiding ----------------------------------------------------------------------------------------------
  const TEXTS = "main :is(td, p, b, caption, .value), main svg text, #dock .objective";

  function reveal() {
    document.querySelectorAll(".quizzed").forEach((one) => one.classList.remove("quizzed"));
  }

  /** The number that is asked for, wherever it is printed or drawn. */
  function hide() {
    reveal();
    const now = question();
    if (!now || dock.at !== "quiz") return;
    const found = new Set(page.cells(now.quantity, now.index));
    for (const rect of [...found].filter((one) => one.matches(".bar"))) found.add(rect.nextElementSibling);
    for (const { figure } of page.figures.filter(({ quantity }) => quantity === now.quantity)) {
      figure.querySelectorAll("table.values, .stats").forEach((one) => found.add(one));
    }
    const own = `.worked[data-quantity$="${now.quantity}"][data-index="${now.index}"]`; // and the data's share
    document.querySelectorAll(`${own} :is(.line, table, .chip)`).forEach((one) => found.add(one));
    const printed = [4, 5, 6, 8].map((digits) => number(now.value, digits)).filter((text) => text.length > 4);
    for (const one of document.querySelectorAll(TEXTS)) {
      if (one.childElementCount < 4 && printed.some((text) => one.textContent.includes(text))) found.add(one);
    }
    if (now.kind === "J") found.add(document.querySelector("#dock .objective"));
    found.forEach((one) => one.classList.add("quizzed"));
  }

  // -- the tab ---------------------------------------------------------------------------------------------
  const by = page.document.loss.pair ? "z" : "a";
  const WHAT = {
    J: ["the objective J of the batch", "整批的目标函数 J"],
    z: ["the output z of", "输出 z："], a: ["the activation f(z) of", "激活值 f(z)："],
    "δ": ["δ = ∂J/∂z at the output of", "残差 δ = ∂J/∂z："],
    "δL": [`δ at the output, ∂J/∂${by}:`, `输出层的 δ，∂J/∂${by}：`],
    "∇W": ["the gradient", "梯度"], "∇b": ["the gradient", "梯度"], "∇Θ": ["the gradient", "梯度"],
  };
  const head = make("p", { class: "question" });
  const typed = make("input", { type: "text", inputmode: "decimal", autocomplete: "off",
    "aria-label": words("your answer", "你的答案") });
  const verdict = make("p", { class: "verdict", role: "status" });
  const clues = make("div", { class: "clues" });
  const score = make("span", { class: "score" });
  const more = make("button", { type: "button", class: "hint-button", click: hint }, say("hint", "提示"));
  const submit = (event) => {
    event.preventDefault();
    answer(typed.value);
  };
  const form = make("form", { class: "line", submit }, typed,
    make("button", { type: "submit", class: "main" }, say("check", "核对")), more,
    make("button", { type: "button", class: "show", click: giveUp }, say("show", "看答案")),
    make("button", { type: "button", class: "next", click: next }, say("next", "下一题")));

  function giveUp() {
    if (!done) tally.asked += 1;
    done = true;
    reveal();
    verdict.className = "verdict";
    const value = number(question().value, 6);
    verdict.replaceChildren(say(`It is ${value}.`, `答案是 ${value}。`));
    showScore();
  }

  function showScore() {
    const { right, asked, hints: used } = tally;
    const [place, all] = [Math.min(at + 1, round.length), round.length];
    score.replaceChildren(say(
      `${place} of ${all} · right ${right} of ${asked} · hints ${used} · order ${seed}`,
      `第 ${place}/${all} 题 · 答对 ${right}/${asked} · 提示 ${used} · 顺序 ${seed}`));
  }

  function show() {
    const now = question();
    clues.replaceChildren();
    verdict.replaceChildren();
    verdict.className = "verdict";
    typed.value = "";
    form.hidden = !now;
    more.disabled = false;
    showScore();
    if (!now) {
      head.replaceChildren(round.length
        ? say(`That was all: ${tally.right} of ${tally.asked} right.`, `全部做完：${tally.asked} 题答对 ${tally.right} 题。`)
        : say("This network has no entry that can be worked out by hand.", "这个网络没有适合手算的元素。"));
      return;
    }
    const [en, zh] = WHAT[now.kind];
    const place = page.printed(now.quantity, now.index).join(", ");
    const name = `${now.quantity.replace(/^gradient:/, `∂${page.loss}/∂`).replace(/^delta:/, "")}[${place}]`;
    const entry = now.kind === "J" ? page.loss : name;
    head.replaceChildren(say(en, zh), " ", make("b", {}, entry), " = ?");
    const pass = /z|a/.test(now.kind) ? "forward" : "backward";
    const card = document.querySelector(`article[data-layer="${now.layer}"].${pass}`)
      ?? document.querySelector("#card-L");
    if (card) head.append(" ", make("a", { href: `#${card.id}` }, card.dataset.step));
  }

  function another() {
    const others = location.hash.slice(1).split("&").filter((part) => part && !part.startsWith("quiz="));
    history.replaceState(null, "", `#${[...others, `quiz=${seed + 1}`].join("&")}`);
    start(seed + 1);
  }

  const again = make("button", { type: "button", class: "another", click: another }, say("another order", "换一组"));
  const content = edit.frozen ? page.frozenText() : [
    head, form, verdict, clues, make("div", { class: "line" }, score, again),
  ];
  dock.tab("quiz", say("Quiz", "测验"), content, {
    opened: () => !edit.frozen && start(seed), closed: reveal,
  });
  page.onChange(() => dock.at === "quiz" && !edit.frozen && start(seed));
  page.ready(() => {
    const wanted = /(?:^|[#&])quiz=(\d+)/.exec(location.hash);
    if (!wanted) return;
    seed = Number(wanted[1]);
    dock.open("quiz");
  });
  page.quiz = { start, question, answer, judge, hint, next, read, score: () => ({ ...tally }), round: () => round };
})(chainrule.page);
