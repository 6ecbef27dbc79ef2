// SPDX-License-Identifier: Apache-2.0
// The page of `attnrl tree` reads well without this. It adds: details beside the pointer instead of
// titles, keys to walk the steps, buttons that fold, and links that unfold what they lead to.
(() => {
  "use strict";
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const detail = document.body.appendChild(document.createElement("div"));
  detail.id = "detail";
  detail.hidden = true;
  detail.setAttribute("role", "status");

  // The titles of steps become details; a screen reader hears them as labels. Only one step of each
  // list is a tab stop, the arrow keys reach the others.
  for (const step of all(".step[title]")) {
    step.dataset.detail = step.title;
    step.removeAttribute("title");
    step.tabIndex = -1;
  }
  for (const walk of all(".walk")) {
    const first = walk.querySelector(".step");
    if (first) first.tabIndex = 0;
  }

  const place = (x, y) => {
    const box = detail.getBoundingClientRect();
    const left = Math.min(Math.max(8, x), innerWidth - box.width - 8);
    const below = y + box.height + 8 < innerHeight;
    detail.style.left = `${left}px`;
    detail.style.top = `${below ? y : Math.max(8, y - box.height - 36)}px`;
  };
  const show = (step, x, y) => {
    const [name, ...facts] = step.dataset.detail.split(" · ");
    const head = document.createElement("b");
    head.textContent = name;
    detail.replaceChildren(head, ...facts.flatMap((fact) => [fact, document.createElement("br")]));
    detail.hidden = false;
    place(x, y);
  };
  const hide = () => { detail.hidden = true; };

  document.addEventListener("pointermove", (event) => {
    const step = event.target.closest?.(".step[data-detail]");
    if (step) show(step, event.clientX + 14, event.clientY + 18);
    else hide();
  });
  document.addEventListener("focusin", (event) => {
    const step = event.target.closest?.(".step[data-detail]");
    if (!step || !step.matches(":focus-visible")) return hide();
    const box = step.getBoundingClientRect();
    show(step, box.left + 60, box.bottom + 4);
  });
  document.addEventListener("scroll", hide, { passive: true });
  document.addEventListener("pointerleave", hide);

  const visible = (element) => element.getClientRects().length > 0;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      hide();
      document.activeElement?.blur?.();
      return scrollTo({ top: 0 });
    }
    const step = event.target.closest?.(".step");
    const moves = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    const walk = step.closest(".walk");
    const steps = all(".step", walk).filter((s) => s.closest(".walk") === walk && visible(s));
    let next;
    if (event.key in moves) next = steps[steps.indexOf(step) + moves[event.key]];
    if (event.key === "Home") next = steps[0];
    if (event.key === "End") next = steps[steps.length - 1];
    if (!next) return;
    event.preventDefault();
    step.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  const tools = document.querySelector(".tools");
  tools.hidden = false;
  tools.addEventListener("click", (event) => {
    const wish = event.target.dataset?.all;
    if (wish === "open") all("details").forEach((each) => { each.open = true; });
    if (wish === "close") all("details.response, .fold").forEach((each) => { each.open = false; });
  });

  // A link leads to something that can be seen.
  const reveal = (id) => {
    const target = id && document.getElementById(id);
    if (!target) return;
    for (let each = target; each; each = each.parentElement) {
      if (each.tagName === "DETAILS") each.open = true;
    }
    target.scrollIntoView({ block: "start" });
  };
  addEventListener("hashchange", () => reveal(location.hash.slice(1)));
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    if (link) reveal(link.getAttribute("href").slice(1));
  });
  if (location.hash) reveal(location.hash.slice(1));

  // Paper shows every response; long folded runs stay folded.
  let folded = [];
  addEventListener("beforeprint", () => {
    hide();
    folded = all("details.response:not([open]), details.prompt:not([open])");
    folded.forEach((each) => { each.open = true; });
  });
  addEventListener("afterprint", () => {
    folded.forEach((each) => { each.open = false; });
  });
})();
