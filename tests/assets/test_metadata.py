from assets.metadata import MAX_CELL, mapping_table, markdown_table


def test_a_table_has_a_line_for_each_row():
    text = markdown_table(["a", "b"], [[1, 2.0 / 3], [None, "x"]]).md_str
    assert text == "| a | b |\n| --- | --- |\n| 1 | 0.6667 |\n|  | x |"


def test_a_cell_can_neither_end_its_row_nor_be_html():
    text = markdown_table(["<script>"], [["a|b\nc <img src=x> [l](http://x) `d` _e_"]]).md_str
    assert text.count("\n") == 2
    assert "<script>" not in text
    assert "<img" not in text
    assert "[l](" not in text
    assert text.splitlines()[2].count("|") == 2


def test_a_long_cell_is_cut():
    text = mapping_table(("a", "b"), {"x": "y" * 500}).md_str
    assert "y" * (MAX_CELL - 1) + "…" in text
    assert "y" * MAX_CELL not in text


def test_a_preview_shows_dates_and_lists_as_text():
    from datetime import date

    assert "2026-01-02" in markdown_table(["d"], [[date(2026, 1, 2)]]).md_str
