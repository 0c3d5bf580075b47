// What a line comes to when it is computed with the numbers it shows: explaining/blocks/as_shown.py in JavaScript.
//
//   page.line(element, main, total)   {digits, given, gives}: how many digits its numbers need, and the signs before
//                                     the numbers and before the result
//
// Sums, products and quotients of printed numbers are fractions of BigInts; where a root, a logarithm or an
// exponential function leaves them the outcome is a float.
"use strict";
((page) => {
  const { number, equality } = page;
  const [DIGITS, MOST_DIGITS, SHOWN] = [4, 12, 4]; // terms of a sum that a line of math.js writes out

  // -- fractions: {n, d}, d > 0; a float is a number ---------------------------------------------------------
  const toNumber = (x) => (typeof x === "number" ? x : Number(x.n) / Number(x.d));
  const fraction = (n, d = 1n) => (d < 0n ? { n: -n, d: -d } : { n, d });

  /** The number that a text shows, as a fraction. */
  function printed(text) {
    const match = /^(-?)(\d+)(?:\.(\d+))?(?:e(-?\d+))?$/.exec(text.replaceAll("−", "-"));
    if (!match) return NaN;
    const [, sign, whole, after = "", exponent = "0"] = match;
    const power = Number(exponent) - after.length;
    const digits = BigInt(`${sign}${whole}${after}`);
    return power < 0 ? fraction(digits, 10n ** BigInt(-power)) : fraction(digits * 10n ** BigInt(power));
  }

  const both = (exact, float) => (a, b) =>
    typeof a === "number" || typeof b === "number" ? float(toNumber(a), toNumber(b)) : exact(a, b);
  const plus = both((a, b) => fraction(a.n * b.d + b.n * a.d, a.d * b.d), (a, b) => a + b);
  const times = both((a, b) => fraction(a.n * b.n, a.d * b.d), (a, b) => a * b);
  const over = both((a, b) => (b.n === 0n ? NaN : fraction(a.n * b.d, a.d * b.n)), (a, b) => a / b);
  const minus = (a) => (typeof a === "number" ? -a : fraction(-a.n, a.d));
  const chosen = (better) => (...of) => of.reduce((a, b) => (better(toNumber(b), toNumber(a)) ? b : a));
  const largest = chosen((a, b) => a > b);
  const smallest = chosen((a, b) => a < b);
  /** A function that leaves the fractions everywhere but at one of them. */
  const fixed = (f, at, value) => (x) => (toNumber(x) === at ? fraction(value) : f(toNumber(x)));
  const log = fixed(Math.log, 1, 0n);

  function power(x, exponent) {
    const count = toNumber(exponent);
    if (typeof x !== "number" && Number.isInteger(count) && count >= 0 && count < 9)
      return fraction(x.n ** BigInt(count), x.d ** BigInt(count));
    return toNumber(x) ** count;
  }

  const FUNCTIONS = {
    divide: over, ratio: over, power, raised: power, sqrt: fixed(Math.sqrt, 1, 1n),
    floor: (x) => fraction(BigInt(Math.floor(toNumber(x)))),
    absolute: (x) => (toNumber(x) < 0 ? minus(x) : x),
    greater: (a, b) => fraction(toNumber(a) > toNumber(b) ? 1n : 0n),
    max: largest, maximum: largest, min: smallest, minimum: smallest,
    exp: fixed(Math.exp, 0, 1n), expm1: fixed(Math.expm1, 0, 0n), log, log1p: fixed(Math.log1p, 0, 0n),
    tanh: fixed(Math.tanh, 0, 0n), cos: fixed(Math.cos, 0, 1n), sin: fixed(Math.sin, 0, 0n),
    xlogy: (x, y) => (toNumber(x) === 0 ? fraction(0n) : times(x, log(y))),
  };

  // -- lines -------------------------------------------------------------------------------------------------
  function outcome(element, digits, main, total) {
    if (element === main) return printed(total);
    if (!element.of) return printed(number(element.value, digits));
    if (element.kind === "sum" && element.of.length > SHOWN) return NaN;
    const of = element.of.map((one) => outcome(one, digits, main, total));
    if (element.kind === "sum") return of.reduce(plus);
    if (element.kind === "product") return of.reduce(times);
    if (element.kind === "negative") return minus(of[0]);
    return element.name in FUNCTIONS ? FUNCTIONS[element.name](...of) : NaN;
  }

  function isExact(element, digits, main, total) {
    if (element === main) return equality(total, element.value) === "=";
    if (!element.of) return equality(number(element.value, digits), element.value) === "=";
    const shown = element.kind === "sum" && element.of.length > SHOWN ? element.of.slice(0, 3) : element.of;
    return shown.every((one) => isExact(one, digits, main, total));
  }

  page.line = (element, main = null, total = "") => {
    const { value } = element;
    const result = printed(number(value));
    const unit = 10 ** (Math.floor(Math.log10(Math.abs(value))) - DIGITS + 1);
    let digits = DIGITS;
    let found = outcome(element, digits, main, total);
    const far = () => Math.abs(toNumber(found) - toNumber(result)) > 1.0001 * unit;
    while (value !== 0 && Number.isFinite(value) && digits < MOST_DIGITS && far()) {
      digits += 1;
      found = outcome(element, digits, main, total);
    }
    const same = typeof found !== "number" && typeof result !== "number" && found.n * result.d === result.n * found.d;
    return { digits, given: isExact(element, digits, main, total) ? "=" : "≈", gives: same ? "=" : "≈" };
  };
})(chainrule.page);
