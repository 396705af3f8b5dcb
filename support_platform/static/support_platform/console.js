// htmx would write a style element into every page, which the content security policy refuses; console.css has its rules.
htmx.config.includeIndicatorStyles = false;

// unfold hides a page until Alpine has started, and by then the browser may have given up on giving a field the focus.
document.addEventListener("alpine:initialized", () => {
  requestAnimationFrame(() => {
    if (document.activeElement === document.body) document.querySelector("[autofocus]")?.focus();
  });
});
