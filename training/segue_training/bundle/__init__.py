"""Any model as a bundle: graphs, weights, manifest, golden cases, and a runtime that answers with them."""
