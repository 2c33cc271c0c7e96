"""Cleaning: what is taken out of a raw text, and what stays."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.test_passages import HEADINGS
from wenmo.text.characters import without_space
from wenmo.text.cleaning import Rejected, clean

LINES = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.sampled_from(
            [
                "雪①落。",
                "<p>雪</p>&nbsp;&amp;&#8203;",
                "上一章 返回目录 下一章",
                "雪。请收藏本站www.a.com。晴。",
                "＊＊＊",
                '他说："走。"',
                "（本章完）",
                "注：雪",
                "更新时间：2012-03-04",
                "<script>雪</script><ruby>雪<rt>x",
                "他走了.她走了.",
            ]
        ),
    )
).map("\n".join)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("＊　＊　＊", "separator"),
        ("----------", "separator"),
        ("上一章", "site"),
        ("上一页 返回目录 下一页", "site"),
        ("zj_waps2();", "site"),
        ("最新章节请到www.example.com阅读", "advert"),
        ("求推荐票！", "advert"),
        ("（全书完）", "note"),
        ("作者有话要说：明天更新。", "note"),
        ("注释：氤氲，形容烟或气很盛。", "note"),
        ("①黉门：学宫。", "note"),
        ("①号房：旧时指传达室。", "note"),
        ("（本章未完，请点击下一页继续阅读）", "advert"),
        ("本章未完，请翻页", "advert"),
        ("这章没有结束，请点击下一页继续阅读！", "advert"),
        ("小主，这个章节后面还有哦，请点击下一页继续阅读，后面更精彩！", "advert"),
        ("（第1/3页）", "site"),
        ("天才一秒记住本站地址：[笔趣阁]", "advert"),
        ("天才一秒记住本站地址：[ｗｗｗ．ｂｉｑｕｇｅ．ｃｏｍ]最快更新！无广告！", "advert"),
        ("一秒记住【某某小说网】，精彩小说无弹窗免费阅读！", "advert"),
        ("Ｗ Ｗ Ｗ．ａｂｃ．ｃｏｍ", "advert"),
        ("ωωω.abc.ｃｏｍ", "advert"),
        ("w w w . a b c . c o m", "advert"),
        ("更新时间：2012-03-04", "site"),
        ("更新时间：2012-03-04 12:00:00　本章字数：3021", "site"),
        ("发布于2012年3月4日", "site"),
        ("作者：张三　更新时间：2012/3/4", "site"),
        ("本章字数：3021", "site"),
        ("字数：3,021字", "site"),
        ("（本章共3021字）", "site"),
        ("书友群：123456", "advert"),
        ("读者交流群号：123456789", "advert"),
        ("欢迎加入ＱＱ群：１２３４５６７８", "advert"),
        ("微信公众号：某某文学", "advert"),
        ("手打更新", "advert"),
        ("会员小张手打", "advert"),
        ("欢迎广大书友光临阅读，最新、最快、最火的连载作品尽在某某原创！", "advert"),
        ("手机用户请浏览m.abc.com阅读。", "advert"),
        ("请支持正版", "advert"),
        ("求收藏，求推荐票！", "advert"),
        ("style_txt();", "site"),
    ],
)
def test_what_is_no_text_goes_by_reason(line: str, reason: str) -> None:
    cleaned = clean(f"雪落。\n{line}\n晴了。")
    assert cleaned.text == "雪落。\n晴了。"
    assert {rejected.reason for rejected in cleaned.rejected} == {reason}


@pytest.mark.parametrize(
    "line",
    [
        "“……”",
        "作者自云：曾历过一番梦幻。",
        "（好。叫你等不得不服！）",
        "他在目录上写了一个字。",
        "注定要走的人。",
        "A市的雪。",
        "这是她第一次免费阅读别人的人生。",
        "他读完了最新章节，合上了书。",
        "她在小说网上写了三年。",
        "他求收藏古画的人帮忙。",
        "他翻到下一页，继续往下看。",
        "他求她打赏几个钱。",
        "①号机停了。",
        "他住在②号楼，她住在③号楼。",
        "OK, see you tomorrow.",
        "Yes!",
        "I love you",
        "他的对手打了他一下。",
        "每个背着五块砖，手打铜锣，嚷着化缘，手打铜锣。",
        "他手打着伞，站在路边。",
        "这一章的字数不多。",
        "他更新了时间。",
        "群里有123个人。",
        "<Lv.3 火球术>已经习得。",
        "选<A>还是选<B>？",
        "<Title 勇者>到手了。",
        "a<b，b>c。",
        "<我>是谁？",
        "他写下<!-- 就停了。",
        "R&B和AT&T。",
        "约翰．史密斯来了。他走了。",
        "约翰.史密斯来了。他走了。",
        "圆周率是3.14。",
        "死'惊、开了，东冲西突。",
    ],
)
def test_what_is_text_stays(line: str) -> None:
    assert clean(line).text == line
    assert clean(line).rejected == []


@pytest.mark.parametrize(
    ("raw", "text", "rejected"),
    [
        (
            "\ufeff\u3000\u3000“雪”（大）《书》【一】  好\r\n\r\n\r\n……\n晴\u00a0。 ",
            "“雪”（大）《书》【一】 好\n……\n晴 。",
            [Rejected("invisible", "\ufeff")],
        ),
        (
            "雪落了一夜。本书来自www.example.com！天晴了。",
            "雪落了一夜。天晴了。",
            [Rejected("advert", "本书来自www.example.com！")],
        ),
        ("他上了勾栏院①，没有回来。", "他上了勾栏院，没有回来。", [Rejected("note mark", "①")]),
        ('"走，"他说。“来！"', "“走，”他说。“来！”", []),
        (
            "①黉门：学宫。 他进了学宫。 天晴了。",
            "他进了学宫。 天晴了。",
            [Rejected("note", "①黉门：学宫。")],
        ),
        (
            "①黉门：语出《诗》：“黉门。”\u3000\u3000②学宫：学校。\u3000\u3000他进了学宫③。",
            "他进了学宫。",
            [
                Rejected("note", "①黉门：语出《诗》：“黉门。”"),
                Rejected("note", "②学宫：学校。"),
                Rejected("note mark", "③"),
            ],
        ),
        (
            "①黉门：学宫。 ②学宫：学校",
            "",
            [
                Rejected("note", "①黉门：学宫。"),
                Rejected("note", "②学宫：学校"),
            ],
        ),
        ("①号机停了。 他走了。", "①号机停了。 他走了。", []),
    ],
    ids=[
        "white space",
        "advert",
        "note mark",
        "straight quotes",
        "text behind a footnote",
        "text behind two footnotes",
        "two footnotes",
        "numbered thing",
    ],
)
def test_part_of_a_line_is_mended_or_taken_out(
    raw: str, text: str, rejected: list[Rejected]
) -> None:
    cleaned = clean(raw)
    assert (cleaned.text, cleaned.rejected) == (text, rejected)


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        ("Chapter 12", "Chapter 12"),
        ("第三章 雪(求月票)", "第三章 雪"),
        ("第三章 雪（求推荐票！）", "第三章 雪"),
        ("第三章 雪【第二更，求订阅】", "第三章 雪"),
        ("第三章 雪（上）", "第三章 雪（上）"),
        ("第三章 雪（第二更）", "第三章 雪"),
        ("第三章 雪（三更，求月票）", "第三章 雪"),
        ("第三章 雪（加更）", "第三章 雪"),
        ("第三章 雪（感谢某某打赏）", "第三章 雪"),
        ("第三章 雪【万字大章】", "第三章 雪"),
        ("第三章 雪（夜半三更）", "第三章 雪（夜半三更）"),
        ("第三章 雪（三更天）", "第三章 雪（三更天）"),
        ("第三章 雪（求婚）", "第三章 雪（求婚）"),
        ("第三章 雪（谢幕）", "第三章 雪（谢幕）"),
        ("第三章 雪（更衣）", "第三章 雪（更衣）"),
    ],
)
def test_an_authors_plea_leaves_a_heading(line: str, heading: str) -> None:
    assert clean(f"雪落。\n{line}\n晴了。").text == f"雪落。\n{heading}\n晴了。"


def test_cleaning_leaves_all_headings() -> None:
    assert [clean(heading).text for heading in HEADINGS] == [
        " ".join(heading.split()) for heading in HEADINGS
    ]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (
            "<p class='a'>雪&nbsp;落&ldquo;了&rdquo;</p><br/>晴<b>了</b><!-- 广告 -->",
            "雪 落“了”\n晴了",
        ),
        ("<ruby>饕餮<rt>tāo tiè</rt></ruby>来了。", "饕餮来了。"),
        ("<ruby>饕<rp>(</rp><rt>tāo</rt><rp>)</rp>餮<rt>tiè</ruby>来了。", "饕餮来了。"),
        ("<ruby><rb>饕<rt>tāo<rb>餮<rt>tiè</ruby>来了。", "饕餮来了。"),
        (
            "雪<script>var a = '<b>晴</b>' && 1 < 2;</script>落<style>p {color: red}</style>。",
            "雪落。",
        ),
        (
            "<html><head><title>书</title></head><body><h1>第一章</h1><p>雪<p>晴</body>",
            "第一章\n雪\n晴",
        ),
        ("雪</p>晴</div>云", "雪\n晴\n云"),
        ("<td>雪<td>晴", "雪\n晴"),
        ("雪&lt;br&gt;晴&amp;nbsp;云&amp;amp;雨", "雪\n晴 云&雨"),
        ("&#38634;&#x96EA;&hellip;&AMP;&copy;", "雪雪…&©"),
        ("雪&foo;R&D", "雪&foo;R&D"),
        ('<a title="x>y" href=\'z\'>雪</a><font face="楷体">晴', "雪晴"),
        ("雪<o:p></o:p>晴", "雪晴"),
        ("<?xml version='1.0' encoding='gbk'?><!DOCTYPE html><p>雪", "雪"),
        ("雪<textarea>晴</textarea>", "雪晴"),
        ("<select><option>第1页</select>雪", "雪"),
        ("&#8203;雪&#x2028;晴&#xfe0f;", "雪\n晴"),
        ("<P>雪</P>\n<P>晴</P>", "雪\n晴"),
    ],
)
def test_mark_up_is_undone(raw: str, text: str) -> None:
    assert clean(raw).text == text


@pytest.mark.parametrize("end", ["\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_whatever_ends_a_line_parts_paragraphs(end: str) -> None:
    assert clean(f"雪落。{end}晴了。") == clean("雪落。\n晴了。")


@pytest.mark.parametrize(
    "unseen",
    [
        *("\ufe0f", "\U000e0100", "\u180e", "\u180b", "\u2800", "\u3164", "\uffa0", "\u115f"),
        *("\u200b", "\u200d", "\u2060", "\ufeff", "\xad", "\u034f", "\U000e0061", "\x07"),
    ],
)
def test_what_is_not_seen_goes(unseen: str) -> None:
    cleaned = clean(f"{unseen}雪{unseen}落。\n{unseen}\n晴{unseen}")
    assert cleaned.text == "雪落。\n晴"
    assert {each.reason for each in cleaned.rejected} == {"invisible"}


def test_a_reading_between_annotation_marks_goes() -> None:
    assert clean("\ufff9饕餮\ufffatāo tiè\ufffb来了。").text == "饕餮来了。"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ('他说:"我走了。\n你留下。"', "他说:“我走了。\n你留下。”"),
        ('"走。\n"好。"他说。', "“走。\n“好。”他说。"),
        ('"走。\n他道,"来,"又走。', "“走。\n他道,“来,”又走。"),
        ('"走。\n雪落了一夜。\n天亮了。"他说。', "“走。\n雪落了一夜。\n天亮了。”他说。"),
        ('"走。\n第二章 雪\n落了"雪"。', "“走。\n第二章 雪\n落了“雪”。"),
        ('他说："\n走。"', "他说：“\n走。”"),
        ('"走。",他说', "“走。”,他说"),
        ("＂走。＂他说。", "“走。”他说。"),
        ("〝走。〞他说。", "“走。”他说。"),
        ("﹁走﹃快﹄。﹂", "「走『快』。」"),
        ("｢走。｣", "「走。」"),
        ("'走，'他说，It's me.", "‘走，’他说，It's me."),
        ("＇走，＇他说。", "‘走，’他说。"),
    ],
)
def test_quotes_of_any_shape_pair_up(raw: str, text: str) -> None:
    assert clean(raw).text == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("他来了.她走了.", "他来了。她走了。"),
        ("他来了．她走了．", "他来了。她走了。"),
        ("他来了｡她走了｡", "他来了。她走了。"),
        ('他说:"走."她走了.', "他说:“走。”她走了。"),
        ("他付了3.14元.她走了.", "他付了3.14元。她走了。"),
        ("他付了３．１４元．她走了．", "他付了３．１４元。她走了。"),
        ("Mr. Wang来了.他用Python3.11.", "Mr. Wang来了。他用Python3.11。"),
        ("他走了...她没走.", "他走了...她没走。"),
        ("Mr. Wang来了。No.5在哪里。", "Mr. Wang来了。No.5在哪里。"),
    ],
)
def test_a_point_ends_a_sentence_where_the_text_writes_so(raw: str, text: str) -> None:
    assert clean(raw).text == text


def test_traditional_text_becomes_simplified_where_asked() -> None:
    assert clean("風來聲滿樓", to_simplified=True).text == "风来声满楼"
    assert clean("風來聲滿樓").text == "風來聲滿樓"


@given(LINES)
@example("&#x1F600;&lt;b&gt;")
def test_every_character_is_kept_or_accounted_for(text: str) -> None:
    cleaned = clean(text)
    left_out = sum(len(without_space(rejected.text)) for rejected in cleaned.rejected)
    assert cleaned.characters_read == len(without_space(cleaned.text)) + left_out


@given(LINES.filter(lambda text: not set(text) & set("<&.．")))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    """But for mark-up, and for points, which an advert's 。 may keep from being full stops."""
    once = clean(text)
    assert clean(once.text).text == once.text
