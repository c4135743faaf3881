"""Japanese phrases of reports for people. Messages and titles of rules are in the rule files."""

from __future__ import annotations

from collections.abc import Mapping

PHRASES: Mapping[str, str] = {
    "error": "エラー",
    "warning": "警告",
    "info": "情報",
    "{count} error": "エラー {count} 件",
    "{count} errors": "エラー {count} 件",
    "{count} warning": "警告 {count} 件",
    "{count} warnings": "警告 {count} 件",
    "{count} info": "情報 {count} 件",
    "{count} suppressed": "抑制 {count} 件",
    "{count} in the baseline": "ベースライン {count} 件",
    "no findings": "指摘はありません",
    "not checked": "検査できませんでした",
    "not checked: {reason}": "検査できませんでした: {reason}",
    "data alone, no model": "モデルは見ず、データのみ",
    "coverage {parameters} of parameters, {operators} of operators": (
        "検査範囲: パラメータの {parameters}、演算子の {operators}"
    ),
    "coverage {parameters} of parameters, no operators": "検査範囲: パラメータの {parameters}、演算子はなし",
    "{count} check not evaluated": "判定できなかった検査 {count} 件",
    "{count} checks not evaluated": "判定できなかった検査 {count} 件",
    ", ": "、",
    ".": "。",
    "{rule} was not evaluated: {reason}": "{rule} は判定できませんでした: {reason}",
    "{rule} was not evaluated on {count} subjects: {reason}": (
        "{rule} は {count} 個の対象で判定できませんでした: {reason}"
    ),
    "and {count} more": "ほか {count} 件",
    "and {count} more (concise and json output list all)": "ほか {count} 件(concise と json の出力ではすべて列挙)",
    "{count} layers": "{count} 層",
    "{count} tensors": "テンソル {count} 個",
    "{count} norms": "正規化層 {count} 個",
    "{count} places": "{count} か所",
    "layer {name}": "層 {name}",
    "layers {name}": "層 {name}",
    "{low} to {high}": "{low}〜{high}",
    "unknown": "不明",
    "yes": "はい",
    "no": "いいえ",
    "Why": "理由",
    "Fix": "対処",
    "Run: {command}": "実行: {command}",
    "This draws anew what is at fault:": "問題のある重みを初期化し直すコマンド:",
    'More about a rule: "initadvisor rule {rule}".': "規則の説明: 「initadvisor rule {rule}」",
    "draw it with the initializer that its place calls for": "その位置に適した方法で初期化し直す",
    "draw it from {method}": "{method} で初期化し直す",
    "draw it from {method} ({params})": "{method} で初期化し直す({params})",
    "draw {drawn}, each block by itself": "ブロックごとに初期化し直す: {drawn}",
    "{names} from {method}": "{names} は {method}",
    "for {names}: {advice}": "{names}: {advice}",
    "and others, layer by layer: initadvisor advise": "ほかの方法は層ごとに: initadvisor advise",
    "Predicted signal over {count} layers, {first} to {last} (rms, log scale):": (
        "{count} 層にわたる信号の予測、{first} から {last} まで(二乗平均平方根、対数目盛):"
    ),
    "forward": "順伝播",
    "gradient": "勾配",
    "Signal on its way to {layer} (second moments):": "{layer} までの順伝播(二次モーメント):",
    "Gradient on its way back to {layer} (second moments):": "{layer} までの逆伝播の勾配(二次モーメント):",
    "{heads} holds zeros; counted as drawn with gain 1.": (
        "{heads} はすべて 0 のため、ゲイン 1 で初期化したものとして計算。"
    ),
    "no operator lies there": "その間に演算子はありません",
    "operator": "演算子",
    "q in": "入力 q",
    "q out": "出力 q",
    "factor": "倍率",
    "where": "場所",
    "... {count} more": "... ほか {count} 個",
    "{where} (joined by {names})": "{where}({names} が合流)",
    "the model": "モデル全体",
}
