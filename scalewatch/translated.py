"""Words of other languages that stand in the names of a log, in English: what is guessed from a name knows no other."""

from __future__ import annotations

import re

__all__ = ["in_english"]

#: English words, each with what people write for it. Scripts without spaces are looked for inside a name.
_MEANINGS = {
    "loss": "损失 損失 损耗 손실 ロス потери потеря verlust perte perda pérdida perdida perdita verlies strata",
    "train": "训练 訓練 学習 훈련 학습 обучение тренировка тренировочная entraînement entrenamiento treinamento",
    "validation": "验证 驗證 検証 검증 валидация валидации валидационная validierung validación validação validazione",
    "test": "测试 測試 テスト 테스트",
    "average": "平均 평균 средняя средние mittlerer durchschnittlicher moyenne medio médio",
    "total": "总 總 合計 общая gesamtverlust",
    "epoch": "轮次 轮数 轮 輪 周期 エポック 에폭 에포크 эпоха эпохи epoche époque epoque época epoca",
    "step": "步数 步 ステップ 스텝 шаг schritt étape etape paso passo stap krok",
    "iteration": "迭代 反復 반복 итерация iteración iteração iterazione itération",
    "learning rate": "学习率 學習率 学習率 학습률 lernrate",
}
_ENGLISH = {word: english for english, words in _MEANINGS.items() for word in words.split()}
_WITHOUT_SPACES = re.compile(
    "|".join(sorted((word for word in _ENGLISH if ord(word[0]) > 0x2E80), key=len, reverse=True))
)


def in_english(text: str) -> str:
    """Return a name, in lower case, with the words that are known put into English.

    >>> in_english("训练损失").split(), in_english("verlust"), in_english("loss")
    (['train', 'loss'], 'loss', 'loss')
    """
    if not text.isascii():
        text = _WITHOUT_SPACES.sub(lambda found: f" {_ENGLISH[found[0]]} ", text)
    return re.sub(r"[^\W\d_]+", lambda found: _ENGLISH.get(found[0], found[0]), text)
