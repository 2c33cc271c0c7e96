"use strict";
// Shows only the rows in which every word sought stands, and those of one outcome if asked for.
const box = document.getElementById("search");
const outcome = document.getElementById("outcome");
const found = document.getElementById("found");
const rows = [...document.querySelectorAll("article")].map((article) => ({
  article,
  // The lines of a text follow each other without a break, so that a couplet is found as well.
  texts: [...article.querySelectorAll("h3, .text")].map((part) => part.textContent.toLowerCase()),
}));

function show() {
  const words = box.value.toLowerCase().split(/\s+/u).filter(Boolean);
  let count = 0;
  for (const { article, texts } of rows) {
    const wanted =
      words.every((word) => texts.some((text) => text.includes(word))) &&
      (!outcome?.value || article.dataset.outcome === outcome.value);
    article.hidden = !wanted;
    count += wanted;
  }
  const all = words.length === 0 && !outcome?.value;
  found.value = all ? `${rows.length} prompts` : `${count} of ${rows.length} prompts`;
}

box.addEventListener("input", show);
outcome?.addEventListener("change", show);
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    box.focus();
  } else if (event.key === "Escape" && event.target === box) {
    // As Chromium does by itself.
    box.value = "";
    show();
  }
});
// Without this script there is nothing to search with.
document.getElementById("filter").hidden = false;
// A browser keeps what was typed when the page is loaded again.
show();
