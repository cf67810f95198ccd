"""Metrics of written text: each compares what was written with one or several references.

The five of the E2E challenge (Dusek et al., 2020, arXiv:1901.07931), in the order of its tables:

    bleu      shared n-grams, n 1 to 4, times a penalty for short texts; 0 to 1
    nist      the same idea, but rare n-grams count more; from 0, in bits, no upper end
    meteor    matched words, stems too, fewer points the more they are scattered; 0 to 1
    rouge_l   the longest common subsequence of words; 0 to 1
    cider     cosine of tf-idf weighted n-grams, n 1 to 4; from 0 to 10

Higher is better for all. Papers print BLEU, METEOR and ROUGE-L times 100. BLEU and NIST pool their
counts over the whole test set; the others are means over texts. CIDEr's weights come from the
references of the whole set, so a table of it can't be compared with one on other tables.

Libraries: BLEU is sacrebleu's, ROUGE-L Google's, METEOR nltk's. nltk's NIST compares a text with
the one reference it fits best instead of all, CIDEr has no maintained package; both are short and
written out here, from their papers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

from course_utils.errors import CourseError

TEXT_METRICS = ("bleu", "nist", "meteor", "rouge_l", "cider")
"""Names of the metrics here, as tables of E2E list them."""

NIST_ORDER = 5
CIDER_ORDER, CIDER_SIGMA = 4, 6.0

References = str | Sequence[str]
Grams = Counter[tuple[str, ...]]


def bleu(predictions: Sequence[str], gold: Sequence[References]) -> float:
    """Corpus BLEU (sacrebleu's default tokenisation) / 100; each gold may be a list."""
    from sacrebleu.metrics import BLEU

    references = _references(gold)
    widest = max(len(r) for r in references)
    streams = [[r[i] if i < len(r) else None for r in references] for i in range(widest)]
    return BLEU().corpus_score(list(predictions), streams).score / 100


def rouge_l(predictions: Sequence[str], gold: Sequence[References]) -> float:
    """Mean ROUGE-L F-measure, the best over an example's references, without stemming."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"])
    best = [
        max(scorer.score(reference, text)["rougeL"].fmeasure for reference in references)
        for text, references in zip(predictions, _references(gold), strict=True)
    ]
    return float(sum(best) / len(best))


def meteor(predictions: Sequence[str], gold: Sequence[References]) -> float:
    """Mean METEOR, the best over an example's references (nltk), by exact words and stems.

    Words are matched as they are, then by Porter stem. With P and R the matched shares of the
    text and of the reference, and the m matches falling into c runs of words in the same order,

        F = P R / (0.9 P + 0.1 R)        METEOR = F · (1 - 0.5 (c / m)³)

    (Banerjee & Lavie, 2005, www.aclweb.org/anthology/W05-0909). WordNet's synonyms, a third kind
    of match, are left out: nltk has to download them, and a score must not depend on the machine.
    The program behind published E2E tables (METEOR 1.5) also knows paraphrases and has other
    weights: compare these numbers with one another, not with those.
    """
    from nltk.translate.meteor_score import meteor_score

    pairs = zip(predictions, _references(gold), strict=True)
    scores = [
        meteor_score([words(r) for r in references], words(text), wordnet=_NoSynonyms())
        for text, references in pairs
    ]
    return float(sum(scores) / len(scores))


class _NoSynonyms:
    """Stands in for nltk's WordNet reader."""

    def synsets(self, word: str) -> list:
        return []


def nist(predictions: Sequence[str], gold: Sequence[References]) -> float:
    """Corpus NIST over n-grams of 1 to 5 words: a sum of information, in bits, from 0 upwards.

    What an n-gram tells beyond its beginning, by its counts in all references,

        info(w_1 ... w_n) = log2(count(w_1 ... w_{n-1}) / count(w_1 ... w_n)),

    is added up over the n-grams of the texts that their references have (as often as the one that
    has most of them), and divided by the number of n-grams written. The sum over n is multiplied
    by exp(β log²(length / mean length of references)) for shorter texts, 1/2 at two thirds.

    Source: Doddington, "Automatic evaluation of machine translation quality using n-gram
    co-occurrence statistics" (HLT 2002), equations 2 and 3.
    """
    texts = [words(text, punctuation=True) for text in predictions]
    references = [[words(r, punctuation=True) for r in group] for group in _references(gold)]
    known: Grams = Counter()
    for reference in (r for group in references for r in group):
        for n in range(1, NIST_ORDER + 1):
            known.update(grams(reference, n))
        known[()] += len(reference)  # what a single word is counted against
    total = 0.0
    for n in range(1, NIST_ORDER + 1):
        gained, written = 0.0, 0
        for text, group in zip(texts, references, strict=True):
            own, allowed = grams(text, n), _union(grams(r, n) for r in group)
            written += own.total()
            gained += sum(
                count * math.log2(known[gram[:-1]] / known[gram])
                for gram, count in (own & allowed).items()
            )
        total += gained / written if written else 0.0
    length = sum(map(len, texts))
    mean_length = sum(sum(map(len, group)) / len(group) for group in references)
    return total * _brevity(length / mean_length if mean_length else 0.0)


def _brevity(ratio: float) -> float:
    if ratio <= 0:
        return 0.0
    beta = math.log(0.5) / math.log(1.5) ** 2
    return math.exp(beta * math.log(min(ratio, 1.0)) ** 2)


def cider(predictions: Sequence[str], gold: Sequence[References]) -> float:
    """Mean CIDEr-D, from 0 to 10: does a text say what its references agree on?

    For n = 1 to 4, g(s) is the vector of a text's n-grams, each with its count (as in the authors'
    code) times log(number of examples / examples with a reference that has it): what is said of
    every example weighs nothing. For a text c and a reference s,

        sim_n(c, s) = 10 · exp(-(|c| - |s|)² / 2·6²) · min(g(c), g(s)) · g(s) / (‖g(c)‖ ‖g(s)‖),

    the minimum taken number by number; the mean over references and over n is the score of c.
    With a single example all weights are log 1 = 0, and so is the score.

    Source: Vedantam, Zitnick & Parikh, "CIDEr: consensus-based image description evaluation"
    (CVPR 2015, arXiv:1411.5726), equations 1 to 4; the D is in its part on gameability.
    """
    texts = [words(text) for text in predictions]
    references = [[words(r) for r in group] for group in _references(gold)]
    scores = []
    for n in range(1, CIDER_ORDER + 1):
        found: Grams = Counter()  # in how many examples
        for group in references:
            found.update(set().union(*(grams(r, n) for r in group)))
        for text, group in zip(texts, references, strict=True):
            mine = _weighted(grams(text, n), found, len(references))
            for reference in group:
                theirs = _weighted(grams(reference, n), found, len(references))
                apart = (len(text) - len(reference)) ** 2
                near = math.exp(-apart / (2 * CIDER_SIGMA**2))
                scores.append(10 * near * _clipped_cosine(mine, theirs) / len(group))
    return float(sum(scores) / (CIDER_ORDER * len(texts)))


def _weighted(counts: Grams, found: Grams, examples: int) -> dict[tuple[str, ...], float]:
    """tf-idf; an n-gram that no reference has is as rare as one of a single example."""
    return {g: c * math.log(examples / max(1, found[g])) for g, c in counts.items()}


def _clipped_cosine(mine: dict, theirs: dict) -> float:
    lengths = math.hypot(*mine.values()) * math.hypot(*theirs.values())
    if lengths == 0:
        return 0.0
    return sum(min(mine[g], theirs[g]) * theirs[g] for g in mine.keys() & theirs) / lengths


def words(text: str, *, punctuation: bool = False) -> list[str]:
    """The text in lower case, cut as mteval's "13a" tokeniser does.

    Args:
        punctuation: keep marks as words of their own (NIST), or drop them (METEOR, CIDEr), as
            E2E's script does.
    """
    cut = _tokenizer()(text.lower()).split()
    return cut if punctuation else [word for word in cut if any(c.isalnum() for c in word)]


@cache
def _tokenizer():
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    return Tokenizer13a()


def grams(tokens: Sequence[str], n: int) -> Grams:
    """How often each n-gram occurs."""
    return Counter(zip(*(tokens[i:] for i in range(n)), strict=False))


def _union(counts: Iterable[Grams]) -> Grams:
    """Each n-gram as often as in the reference that has most of it."""
    most: Grams = Counter()
    for one in counts:
        most |= one
    return most


def _references(gold: Sequence[References]) -> list[list[str]]:
    """One list of references per text, none of them empty."""
    lists = [[g] if isinstance(g, str) else list(g) for g in gold]
    for number, references in enumerate(lists):
        if not references:
            raise CourseError(f"text {number} has no reference: give each at least one.")
    return lists
