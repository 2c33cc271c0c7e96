"""The page's colours and fonts: the paper and inks of the report page, light and dark."""

from pathlib import Path

import gradio as gr

STYLES = Path(__file__).with_name("web_page.css")


def css() -> str:
    """The page's own style sheet."""
    return STYLES.read_text(encoding="utf-8")


def theme() -> gr.themes.Base:
    """Gradio's theme with these colours; the fonts are those of the reader's machine."""
    fonts = ["system-ui", "Noto Sans CJK SC", "Noto Sans SC", "PingFang SC", "Microsoft YaHei"]
    light = {
        "body_background_fill": "#fbf9f4",
        "body_text_color": "#24211c",
        "body_text_color_subdued": "#6a6356",
        "background_fill_primary": "#fbf9f4",
        "background_fill_secondary": "#f3efe6",
        "block_background_fill": "transparent",
        "border_color_primary": "#ded7c9",
        "input_background_fill": "#fffdf8",
        "button_primary_background_fill": "#ab3a2b",
        "button_primary_background_fill_hover": "#8f2f22",
        "button_primary_text_color": "#fffdf8",
        "button_secondary_background_fill": "#f3efe6",
        "button_secondary_background_fill_hover": "#e9e2d3",
        "button_secondary_text_color": "#24211c",
        "block_label_text_color": "#6a6356",
        "block_title_text_color": "#6a6356",
        "block_info_text_color": "#6a6356",
        "slider_color": "#ab3a2b",
        "color_accent": "#ab3a2b",
        "checkbox_background_color_selected": "#ab3a2b",
        "checkbox_border_color_selected": "#ab3a2b",
        "checkbox_label_background_fill_selected": "#f3efe6",
        "checkbox_label_text_color_selected": "#24211c",
    }
    dark = {
        "body_background_fill": "#191714",
        "body_text_color": "#e9e4d9",
        "body_text_color_subdued": "#a59d8e",
        "background_fill_primary": "#191714",
        "background_fill_secondary": "#22201c",
        "border_color_primary": "#3c3831",
        "block_background_fill": "transparent",
        "input_background_fill": "#22201c",
        "button_primary_background_fill": "#ab3a2b",
        "button_primary_background_fill_hover": "#c24a38",
        "button_primary_text_color": "#fffdf8",
        "button_secondary_background_fill": "#22201c",
        "button_secondary_background_fill_hover": "#2c2924",
        "button_secondary_text_color": "#e9e4d9",
        "block_label_text_color": "#a59d8e",
        "block_title_text_color": "#a59d8e",
        "block_info_text_color": "#a59d8e",
        "checkbox_label_background_fill_selected": "#22201c",
        "checkbox_label_text_color_selected": "#e9e4d9",
    }
    plain = {"block_border_width": "0px", "block_shadow": "none", "block_padding": "0px"}
    base = gr.themes.Base(font=[*fonts, "sans-serif"], font_mono=["ui-monospace", "monospace"])
    colours = {f"{name}_dark": value for name, value in dark.items()}
    themed: gr.themes.Base = base.set(**plain, **light, **colours)
    return themed
