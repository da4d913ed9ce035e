"""Pictures as SVG, drawn from values: graphs and charts. No script and no style of an element is in them."""
