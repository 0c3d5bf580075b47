// What is badly set in the formulas of a page: [[formula, complaint], ...].  Boxes are those of the glyphs' line
// (CSS), so that lengths are compared with half an em to spare where glyphs may be smaller than their boxes.
(() => {
  const known = new Set(("math mrow mi mn mo mtext mfrac msqrt msup msub msubsup munder mover mpadded mtable " +
    "mtr mtd").split(" "));
  const found = [];
  for (const formula of document.querySelectorAll("math")) {
    const complain = text => found.push([formula.dataset.from, text]);
    const frame = formula.getBoundingClientRect();
    if (getComputedStyle(formula).display !== "block math") complain("not displayed as mathematics");
    for (const element of formula.querySelectorAll("*")) {
      const name = element.localName, box = element.getBoundingClientRect();
      const em = parseFloat(getComputedStyle(element).fontSize);
      const parts = [...element.children].map(part => part.getBoundingClientRect());
      const invisible = /^[\u2061\u2062]$/.test(element.textContent);
      if (!known.has(name)) complain(`${name} is no element of MathML Core`);
      if (!invisible && !(box.width > 0 && box.height > 0)) complain(`${name} "${element.textContent}" is empty`);
      if (em < 6) complain(`${name} of ${formula.textContent} is smaller than 6px`);
      if (name !== "mtr" && (box.left < frame.left - 0.3 * em || box.right > frame.right + 0.3 * em))
        complain(`${name} "${element.textContent}" leaves the formula`);
      if (name === "mrow" || name === "math")
        parts.forEach((part, i) => {
          if (i && part.left < parts[i - 1].right - 0.25 * em) complain(`parts of "${element.textContent}" overlap`);
        });
      const [base, second, third] = parts;
      if (["msup", "msubsup"].includes(name)) {
        const sup = third ?? second;
        if (sup.bottom > base.bottom - 0.1 * em) complain(`superscript of ${element.textContent} is low`);
        if (sup.left < base.right - 0.3 * em) complain(`superscript of ${element.textContent} lies on its base`);
        if (sup.top > base.top + 0.5 * em) complain(`superscript of ${element.textContent} hangs`);
      }
      if (["msub", "msubsup"].includes(name)) {
        if (second.bottom < base.bottom) complain(`subscript of ${element.textContent} is high`);
        if (third && second.top < third.top + 0.2 * em) complain(`scripts of ${element.textContent} overlap`);
      }
      if (name === "mfrac") {
        if (base.bottom > second.top) complain(`numerator and denominator of ${element.textContent} overlap`);
        const middle = part => (part.left + part.right) / 2;
        if (Math.abs(middle(base) - middle(second)) > 0.1 * em) complain(`${element.textContent} is not centred`);
      }
      if (name === "msqrt" && (box.top > base.top || box.left > base.left - 0.3 * em))
        complain(`the root does not cover ${element.textContent}`);
      const limits = getComputedStyle(element).mathStyle === "normal";
      if (name === "munder" && limits && second.top < base.bottom - 0.3 * em)
        complain(`limits of ${element.textContent} are not below`);
      if (name === "munder" && !limits && second.left < base.right - 0.3 * em)
        complain(`limits of ${element.textContent} in a line are not beside`);
      if (name === "mover" && (second.bottom > base.bottom || Math.abs(second.left + second.right - base.left -
          base.right) > em)) complain(`the hat of ${element.textContent} sits wrongly`);
      if (name === "mo" && element.getAttribute("fence") === "true") {
        const inside = element.getAttribute("form") === "prefix" ? element.nextElementSibling
          : element.previousElementSibling;
        const around = inside.getBoundingClientRect(), slack = 0.6 * em;
        const grows = around.height > 2 * em;
        if (!grows && box.height > 2 * em) complain(`a fence of ${element.parentElement.textContent} grew`);
        if (grows && (box.top > around.top + slack || box.bottom < around.bottom - slack))
          complain(`a fence is lower than ${inside.textContent}`);
        if (grows && box.height > 2 * around.height + slack) complain(`a fence of ${inside.textContent} is too tall`);
      }
      if (name === "mtable") {
        const rows = [...element.children].map(row => [...row.children]);
        for (const column of [0, 1]) {
          const starts = rows.map(cells => cells[column].firstElementChild.getBoundingClientRect().left);
          if (Math.max(...starts) - Math.min(...starts) > 0.35 * em)
            complain(`column ${column} of the cases ${element.textContent} is not aligned: ${starts}`);
        }
      }
    }
  }
  return found;
})()
