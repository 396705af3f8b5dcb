// Draws the charts of panels that come after the page. django-unfold's renderCharts draws every canvas of the class
// "chart" and fails on one that it has drawn, so those lose the class first.
document.addEventListener("htmx:afterSettle", () => {
  for (const canvas of document.querySelectorAll("canvas.chart")) {
    if (Chart.getChart(canvas)) {
      canvas.classList.remove("chart");
    }
  }
  renderCharts();
});
