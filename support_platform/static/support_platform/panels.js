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
