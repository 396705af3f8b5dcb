"use strict";
// Shows the pages of a change (ask, preview, receipt) as a dialog over the row's page. Every form marked `data-dialog`
// opens it. Without this script the same pages follow one another by themselves.
(() => {
  let dialog = null;
  let isBusy = false;
  let isChanged = false;

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-dialog]") && !(dialog && dialog.contains(form))) return;
    event.preventDefault();
    send(form, event.submitter);
  });

  async function send(form, button) {
    if (isBusy) return;
    isBusy = true;
    const fields = new URLSearchParams(new FormData(form));
    if (button && button.name) fields.append(button.name, button.value);
    opened().setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.getAttribute("action"), { method: "POST", body: fields });
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      show(null);
    } finally {
      isBusy = false;
      dialog.removeAttribute("aria-busy");
    }
  }

  function opened() {
    if (dialog === null) {
      dialog = document.createElement("dialog");
      dialog.id = "operation-dialog";
      dialog.setAttribute("aria-labelledby", "operation-title");
      dialog.addEventListener("click", (event) => {
        if (!event.target.closest("[data-close]")) return;
        event.preventDefault();
        dialog.close();
      });
      dialog.addEventListener("close", () => {
        dialog.replaceChildren();
        if (isChanged) window.location.reload();
      });
      document.body.append(dialog);
    }
    return dialog;
  }

  function show(page) {
    const part = (page && page.getElementById("operation")) || told(page);
    isChanged = isChanged || part.dataset.step === "receipt";
    const close = document.createElement("button");
    close.type = "button";
    close.className = "dialog-close";
    close.dataset.close = "";
    close.setAttribute("aria-label", "Close");
    close.textContent = "×";
    dialog.replaceChildren(part, close);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    const wrong = part.querySelector("[aria-invalid=true]");
    const first = part.querySelector("input:not([type=hidden]), select, textarea");
    const alert = part.querySelector("[role=alert]");
    (wrong || (!alert && part.dataset.step === "ask" && first) || part.querySelector("h2")).focus();
  }

  // What is no step of a change: a fault's page, the login page, no answer at all.
  function told(page) {
    const fault = page && page.querySelector("body.fault main");
    const part = document.createElement("section");
    const title = document.createElement("h2");
    title.id = "operation-title";
    title.tabIndex = -1;
    title.textContent = fault ? fault.querySelector("h1").textContent : "This did not go on";
    const texts = fault
      ? Array.from(fault.querySelectorAll("p"), (line) => line.textContent).filter((text) => text !== "To the console")
      : page
        ? ["The row is not here any more, or your session has ended. Close this; the page is then opened again."]
        : ["The server did not answer. Close this and look whether the change was made before you repeat it."];
    part.append(title);
    for (const text of texts) {
      const line = document.createElement("p");
      line.textContent = text;
      part.append(line);
    }
    isChanged = isChanged || !fault;
    return part;
  }
})();
