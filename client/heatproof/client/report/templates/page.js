"use strict";
// Sorts and filters the table of images and the cards below it. Without scripts the page shows all of
// them, the worst first, and the controls stay hidden.
(() => {
  const table = document.getElementById("image-table");
  if (!table) return;
  const body = table.tBodies[0];
  const headers = [...table.tHead.rows[0].cells];
  const filter = document.getElementById("image-filter");
  const standing = document.getElementById("image-standing");
  const count = document.getElementById("image-count");
  const cards = document.getElementById("image-cards");
  const images = [...body.rows].map((row) => ({
    row,
    card: row.dataset.card ? document.getElementById(row.dataset.card) : null,
    text: row.textContent.toLowerCase(),
  }));
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  let order = images;

  const textOf = (image, column) => image.row.cells[column].textContent.trim();
  const keyOf = (image, column) => image.row.cells[column].dataset.key;

  // Images without a score stay last, whichever end comes first.
  const byScore = (column, sign) => (first, second) => {
    const [one, other] = [keyOf(first, column), keyOf(second, column)];
    if (one === "" || other === "") return (one === "") - (other === "");
    return sign * (Number(one) - Number(other));
  };
  const byText = (column, sign) => (first, second) =>
    sign * collator.compare(textOf(first, column), textOf(second, column));

  const arrange = () => {
    body.append(...order.map((image) => image.row));
    cards?.append(...order.filter((image) => image.card).map((image) => image.card));
  };

  const select = (told) => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = standing?.value ?? "";
    let shown = 0;
    for (const { row, card, text } of images) {
      const fits =
        words.every((word) => text.includes(word)) && (!wanted || row.dataset.standing === wanted);
      row.hidden = !fits;
      if (card) card.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${images.length} images${told ?? ""}`;
  };

  const sort = (header) => {
    const column = headers.indexOf(header);
    const first = header.dataset.sort === "text" ? "ascending" : header.dataset.sort;
    const opposite = first === "ascending" ? "descending" : "ascending";
    const next = header.getAttribute("aria-sort") === first ? opposite : first;
    for (const each of headers) each.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", next);
    const compare = header.dataset.sort === "text" ? byText : byScore;
    order = [...images].sort(compare(column, next === "ascending" ? 1 : -1));
    arrange();
    select(`, sorted by ${header.textContent.trim().replace(/\s+/g, " ")}, ${next}`);
  };

  for (const header of headers) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => sort(header));
  }
  filter.addEventListener("input", () => select());
  standing?.addEventListener("change", () => select());
  const controls = document.getElementById("image-controls");
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.hidden = false;
})();
