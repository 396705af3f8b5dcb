// Draws the charts of panels that come after the page. django-unfold's renderCharts draws every canvas of the class
// "chart" when the page has loaded, those that came before that too, and fails on one that it has drawn already.
document.addEventListener("htmx:afterSettle", () => {
  if (document.readyState !== "complete") {
    return;
  }
  for (const canvas of document.querySelectorAll("canvas.chart")) {
    if (Chart.getChart(canvas)) {
      canvas.classList.remove("chart");
    }
  }
  renderCharts();
});

// A panel that comes after the page and does not come says so, where it said that it is being worked out.
const tellWhy = (event, why) => {
  const told = event.target.closest(".later")?.querySelector("p").firstChild;
  if (told) {
    told.data = `${why} Load the page again in a minute. `;
  }
};
document.addEventListener("htmx:responseError", (event) => {
  tellWhy(event, `Not shown: the server answered ${event.detail.xhr.status}.`);
});
document.addEventListener("htmx:sendError", (event) => tellWhy(event, "Not shown: the server could not be reached."));

// Chart.js knows no theme: the words of all charts are written in the colour of the text around them.
const dressCharts = () => {
  const style = getComputedStyle(document.documentElement);
  const theme = document.documentElement.classList.contains("dark") ? "dark" : "light";
  Chart.defaults.color = style.getPropertyValue(`--color-font-default-${theme}`).trim();
  for (const chart of Object.values(Chart.instances)) {
    chart.update();
  }
};
document.addEventListener("DOMContentLoaded", dressCharts);
new MutationObserver(dressCharts).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
