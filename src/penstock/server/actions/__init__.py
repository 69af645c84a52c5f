"""One verb per function: load, ask the core, save, all in one transaction. Knows neither HTTP nor templates."""
