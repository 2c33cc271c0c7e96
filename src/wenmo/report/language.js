"use strict";
// Shows the page in English or Chinese: as it was chosen last, else as the browser prefers.
{
  const button = document.getElementById("language");
  const key = "wenmo-language";

  // Puts what stands in data-zh into the page, and what stood there into data-zh.
  function exchange() {
    for (const element of document.querySelectorAll("*")) {
      for (const { name, value } of [...element.attributes]) {
        if (name === "data-zh") {
          element.dataset.zh = element.innerHTML;
          element.innerHTML = value;
        } else if (name.startsWith("data-zh-")) {
          const plain = name.slice("data-zh-".length);
          element.setAttribute(name, element.getAttribute(plain));
          element.setAttribute(plain, value);
        }
      }
    }
  }

  function speak(language) {
    const root = document.documentElement;
    if (language !== root.lang.slice(0, 2)) {
      exchange();
      root.lang = language === "zh" ? "zh-Hans" : "en";
    }
    button.textContent = language === "zh" ? "English" : "中文";
    button.lang = language === "zh" ? "en" : "zh-Hans";
    document.dispatchEvent(new Event("languagechange"));
  }

  button.addEventListener("click", () => {
    const chosen = document.documentElement.lang === "en" ? "zh" : "en";
    speak(chosen);
    try {
      localStorage.setItem(key, chosen);
    } catch {
      // A browser that keeps nothing asks again.
    }
  });

  let chosen = null;
  try {
    chosen = localStorage.getItem(key);
  } catch {
    // The same.
  }
  speak(chosen ?? (navigator.language.startsWith("zh") ? "zh" : "en"));
  button.hidden = false;
}
