"""Readings and shapes that poets use and the 廣韻 (1008) lacks.

Characters that the 廣韻 lacks altogether have the reading of the 集韻 (1039) and the 平水 books. A
further reading of a character that it has is here if regulated poems of chinese-poetry need it,
that is if the poem is else without fault: 厭 in 鹽 22 times of 22, 崦 oblique 30 of 39, 佳 in 麻 29
of 43, 殷 oblique 7 of 47. A few that are seldom needed are here on the word of the 集韻 alone: 司
旁 遲 娉 挨. It gives 回 and 庭 an oblique reading too, which no poem needs and would make a common
rhyme word free. `python -m bench.marks` counts what is still unknown.
"""

# Rhyme and tone as in the 廣韻, then the characters.
LATER_READINGS = (
    ("東", "平", "攏朣礲"), ("東", "入", "觫簌"), ("鍾", "平", "榕"), ("鍾", "入", "劚"),
    ("支", "平", "醾䕷澌饑犂嚱"), ("之", "平", "鷥"), ("之", "去", "司遲"), ("微", "平", "蜚"),
    ("魚", "平", "樗"), ("魚", "去", "濾"), ("虞", "平", "圩"), ("虞", "去", "颶"),
    ("模", "平", "蝴摹葡莆"), ("模", "去", "做"), ("齊", "平", "虀暌鶗樨"), ("齊", "去", "莉"),
    ("佳", "平", "挨"), ("灰", "去", "焙"), ("真", "平", "緡"), ("真", "去", "憗"),
    ("文", "上", "殷"), ("魂", "平", "髠魨"), ("魂", "上", "滾"), ("魂", "去", "褪噀"),
    ("寒", "平", "漫攢歎拚胖杆"), ("寒", "入", "撒茉"), ("先", "平", "舡圈搴壖惓漩"),
    ("先", "入", "拽"), ("蕭", "平", "嬈嶤"), ("蕭", "去", "跳"), ("肴", "平", "凹稍誵"),
    ("豪", "平", "淘璈蠔"), ("歌", "平", "麽"), ("歌", "上", "阿"), ("歌", "去", "做懦"),
    ("麻", "平", "涯佳啞爺撾漥揶琊鋣"), ("麻", "上", "瑪"), ("麻", "去", "䆉耙"),
    ("陽", "平", "嫦娼"), ("陽", "上", "倆"), ("陽", "去", "瀼旁桁"), ("庚", "平", "虻"),
    ("清", "平", "餳頳籯"), ("清", "入", "鶺"), ("青", "平", "婷箵娉帡"), ("青", "入", "閴"),
    ("蒸", "平", "鐙譍姮"), ("蒸", "入", "鶒"), ("尤", "平", "髹"),
    ("尤", "上", "桕"), ("侵", "平", "蔭"), ("覃", "平", "驔"), ("覃", "去", "探"),
    ("鹽", "平", "厭忺薝"), ("鹽", "上", "崦"), ("鹽", "入", "鬛"), ("咸", "去", "賺"),
)  # fmt: skip

# Pairs of shapes: a character as in opencc's traditional standard or in old prints, then as in the
# 廣韻. It has 粗 強 歛 茆 咳, 凈 恍 歎 拖 慷 椹 and 咬 in their own shape too, but only as other
# words or without a reading of the second shape. What yitizi knows is not repeated here.
SHAPES = (
    "茲兹 托託 瀟潚 樣㨾 崙崘 槁稾 污汙 汚汙 撐樘 罕䍐 迤迆 髭頿 秖祇 潑𣸍 恓棲 徴徵 飡餐 歘欻 "
    "隟隙 倂併 蒂蔕 敧攲 挍校 搘榰 葅菹 麄麤 祛袪 飇飆 裩褌 哪那 熳漫 塼甎 褲袴 髩鬢 嵓巖 湼涅 "
    "脋脅 硏研 粗麤 強彊 歛斂 茆茅 咳欬 鶑鶯 壟壠 眀明 衘銜 扄扃 頺頹 圗圖 擕攜 簮簪 鍳鑑 靁雷 "
    "蠺蠶 虗虛 抺抹 冺泯 苖苗 凈淨 恍怳 歎嘆 拖拕 慷忼 椹葚 咬齩 么幺"
)
