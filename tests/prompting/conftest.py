"""The small PLMs of four kinds, as fixtures: a name, and the same name with "_model"."""

from __future__ import annotations

import pytest
import small_plms
import small_tokenizers


@pytest.fixture(scope="session")
def bert():
    return small_tokenizers.bert()


@pytest.fixture(scope="session")
def roberta():
    return small_tokenizers.roberta()


@pytest.fixture(scope="session")
def gpt2():
    return small_tokenizers.gpt2()


@pytest.fixture(scope="session")
def t5():
    return small_tokenizers.t5()


@pytest.fixture
def bert_model(bert):
    return small_plms.bert(bert)


@pytest.fixture
def roberta_model(roberta):
    return small_plms.roberta(roberta)


@pytest.fixture
def gpt2_model(gpt2):
    return small_plms.gpt2(gpt2)


@pytest.fixture
def t5_model(t5):
    return small_plms.t5(t5)


@pytest.fixture
def plm(tmp_path, bert_model, bert):
    """A masked PLM in a folder, by its path."""
    return small_plms.saved(tmp_path / "plm", bert_model, bert)
