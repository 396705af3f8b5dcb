// htmx would write a style element into every page, which the content security policy refuses; console.css has its rules.
htmx.config.includeIndicatorStyles = false;
