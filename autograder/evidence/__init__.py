"""Results of runs, recomputed from what was handed in: nothing a record says is believed.

    packed      the zip, read with limits: known names, sizes, no links, no doubles
    tensors     a safetensors file's header, read strictly
    recompute   the metric from predictions and gold labels; the method from its tensors
    replay      the adapter put back into the frozen PLM, and its predictions made again
    alike       submissions that share adapters or predictions

A finding is a sentence for a person. None of these runs a student's code.
"""
