"use strict";
// Search: shows the rows that hold every word of the search box and have the chosen outcome.
const box = document.getElementById("search");
const outcome = document.getElementById("outcome");
const found = document.getElementById("found");
const rows = [...document.querySelectorAll("article")].map((article) => ({
  article,
  // textContent joins the lines of a text without a break, so that a couplet is found too.
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
  const { all: total, some } = found.dataset;
  found.value = all ? total : some.replace("{count}", count).replace("{total}", total);
}

box.addEventListener("input", show);
outcome?.addEventListener("change", show);
document.addEventListener("languagechange", show);
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    box.focus();
  } else if (event.key === "Escape" && event.target === box) {
    // Chromium clears a search box by itself; other browsers need this.
    box.value = "";
    show();
  }
});
// The search box needs this script, so the page hides it until the script runs.
document.getElementById("filter").hidden = false;
// After a reload the browser restores what was typed, so the rows are filtered at once.
show();
