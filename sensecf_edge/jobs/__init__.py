"""Many records: `batch` over a cohort, `watch` on a hub. Nothing here decides what an answer is; `loop` does."""
