"""Fine-tuning: a language model learns verified counterfactuals of one table, then from the classifier's verdicts.

`tune.finetune` does it from a task to a folder. The rooms: `tokens` (questions as the model reads them),
`supervised` (LoRA on pairs), `preference` (verdicts as reward), `answering` (what became of every answer),
`memorisation`, `modelcard`, `presets`. Pairs in words are made by `sensecf.finetune.text_pairs`.
"""
