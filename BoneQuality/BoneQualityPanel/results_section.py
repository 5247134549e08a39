"""What came out: the card with the few numbers, the table of levels, doubts."""

import html

import qt
import slicer
from slicer.i18n import tr as _

from BoneQualityLib.columns import CASE_COLUMNS, LEVEL_COLUMNS, MUSCLE_COLUMNS, SUMMARY_COLUMNS
from BoneQualityLib.outputs.summary import HEADLINES, behind_flag
from BoneQualityLib.scene.case_chart import CUTOFF_COLUMNS
from BoneQualityLib.scene.chart_names import keep_names
from BoneQualityLib.scene.session import every_node
from BoneQualityLib.scene.views import show_table

from .messages import said
from .translated import translated

#: Columns of the table of levels: what the document calls them, and decimals; None for texts.
COLUMNS = (
    ("level", None),
    ("hu_3d", 0),
    ("hu_upper", 0),
    ("hu_middle", 0),
    ("hu_lower", 0),
    ("vbq_single_level", 2),
    ("height_loss_percent", None),
    ("flags", None),
)
#: Likewise of the table of muscles; where every row is at a disc, where its slice lies says nothing.
OF_MUSCLES = (
    ("disc", None),
    ("slice_s_mm", 0),
    ("muscle", None),
    ("side", None),
    ("area_mm2", 0),
    ("rcsa", 2),
    ("fat_infiltration_percent", 1),
    ("fat_fraction_percent", 1),
    ("reason", None),
)
#: Readable on light and on dark ground.
SEVERITY_COLORS = dict(error="#d9534f", warning="#c77700", info="#5b8db8")
NAMED_PROPERTY = "BoneQuality.Named"
MOST_ROWS, WIDEST_PIXELS, FRAME_PIXELS, SCROLL_BAR_PIXELS = 12, 130, 4, 16
#: Doubts beyond this are scrolled; titles beside the case values are cut there.
DOUBTS_PIXELS, TITLES_PIXELS = 190, 180
NOTHING_SAID = {"", "nan"}
#: The tables of a case in the scene.
CHARTED = {column.name: column.title for column in (*LEVEL_COLUMNS, *CUTOFF_COLUMNS)}
TABLES = dict(levels=LEVEL_COLUMNS, case=CASE_COLUMNS, summary=SUMMARY_COLUMNS, muscles=MUSCLE_COLUMNS)


class ResultsSection:
    """The card, the table of levels, the muscles and the doubts of the case that the panel shows.

    marked: called with a level that a person takes for fractured.
    """

    def __init__(self, panel, marked):
        self.panel, self.ui, self.marked = panel, panel.ui, marked
        self.levels, self.muscles = [], []  # the rows of the tables
        self.isNamed = False  # whether the chart views have been looked for
        ui = self.ui
        ui.cardLabel.connect("linkActivated(QString)", self.onCardLink)
        ui.allLevelsBox.connect("clicked(bool)", self.onAllLevels)
        ui.chartButton.connect("clicked(bool)", self.onShowChart)
        ui.allColumnsButton.connect("clicked(bool)", self.onAllColumns)
        ui.showRoisButton.connect("clicked(bool)", self.onShowRois)

    def update(self):
        """Show the results as they lie in the scene, and nothing where there are none."""
        ui, case = self.ui, self.panel.case
        if ui.caseTable.mrmlTableNode() is not case.node("case"):
            ui.caseTable.setMRMLTableNode(case.node("case"))
        if case.node("case") is not None:
            ui.caseTable.transposed = True  # refused as long as there is no table
            _translateTitles(case)
            self._fitCase()
        ui.card.visible = ui.resultsSection.visible = ui.resultsSection.enabled = case.is_measured
        if not case.is_measured:
            self.levels, self.muscles = [], []
            ui.levelTable.setRowCount(0)
            ui.muscleTable.setRowCount(0)
            ui.flagsText.clear()
            ui.cardLabel.text = ""
            return
        document = case.document
        ui.cardLabel.text = card(document)
        ui.cardLabel.toolTip = "<br>".join(html.escape(sentence) for sentence in cutoffSentences(document))
        self._showDoubts(doubts(document))
        self._fillLevels(document)
        self._fillMuscles(document)
        ui.chartButton.enabled = case.node("chart") is not None
        if any(node.GetPlotChartNodeID() for node in every_node("vtkMRMLPlotViewNode")):  # also of a scene that was opened
            self._nameCharts()
        ui.showRoisButton.checked = case.is_visible()

    # The table of levels

    def _fillLevels(self, document):
        ui = self.ui
        used = [row for row in document["levels"] if row["used"] == "yes"]
        others = [row for row in document["levels"] if row["used"] != "yes"]
        suggested = [row for row in others if row.get("genant_grade")]
        folded = [row for row in others if row not in suggested]
        rows = used + suggested + (folded if ui.allLevelsBox.checked else [])
        ui.allLevelsBox.text = _("Also levels that no value uses ({count})").format(count=len(folded))
        ui.allLevelsBox.visible = bool(folded)
        titles = (_("Level"), _("3D"), _("Upper"), _("Middle"), _("Lower"), _("VBQ"), _("Fracture"), _("Doubts"))
        items = [[self._item(document, row, *column) for column in COLUMNS] for row in rows]
        _fill(ui.levelTable, titles, items, shownAlways=(0, len(COLUMNS) - 1))
        self.levels = [row["level"] for row in rows]

    def _item(self, document, row, name, decimals):
        item = qt.QTableWidgetItem()
        if name == "flags":
            mine = flagsOf(document, row["level"])
            item.setText(str(len(mine)) if mine else "")
            item.setToolTip("\n".join(translated(flag["sentence"]) for flag in mine))
            if mine:
                item.setForeground(qt.QBrush(qt.QColor(SEVERITY_COLORS[mine[0]["severity"]])))
        elif name == "height_loss_percent":
            grade = row.get("genant_grade")
            item.setText(_("grade {grade}").format(grade=f"{grade:.0f}") if grade else "")
        else:
            _write(item, row.get(name), decimals)
        return item

    def _fillMuscles(self, document):
        self.muscles = document["muscles"]
        titles = [_("Disc"), _("Slice S mm"), _("Muscle"), _("Side"), _("Area mm\N{SUPERSCRIPT TWO}"), _("rCSA")]
        titles += [_("Fat %"), _("Fat fraction %"), _("Not measured")]
        isAtDiscs = all(row["disc"] for row in self.muscles)
        items = []
        for row in self.muscles:
            items.append([qt.QTableWidgetItem() for _column in OF_MUSCLES])
            for item, (name, decimals) in zip(items[-1], OF_MUSCLES):
                _write(item, None if name == "slice_s_mm" and isAtDiscs else row.get(name), decimals)
        _fill(self.ui.muscleTable, titles, items)

    def _fitCase(self):
        """The table of all case values without those that were not measured."""
        view = self.ui.caseTable
        view.horizontalHeader().setStretchLastSection(True)
        view.verticalHeader().setMaximumWidth(TITLES_PIXELS)
        for row in range(view.model().rowCount()):
            view.setRowHidden(row, view.model().data(view.model().index(row, 0)) in NOTHING_SAID)

    def _showDoubts(self, text):
        """The doubts as high as they are, to a limit; where there are none the card says so."""
        view, page = self.ui.flagsText, qt.QTextDocument()
        view.visible = bool(text)
        view.setHtml(text)
        page.setHtml(text)
        page.setTextWidth(view.viewport().width)
        view.setFixedHeight(int(min(page.size.height() + 2 * FRAME_PIXELS, DOUBTS_PIXELS)))

    # A person's clicks

    @said
    def onCardLink(self, link):
        what, _separator, name = link.partition(":")
        if what == "fractured":
            self.marked(name)
        elif what == "place":
            self.panel.place.showMeasure(name)

    @said
    def onAllLevels(self, checked=False):
        self._fillLevels(self.panel.case.document)

    @said
    def onShowChart(self, checked=False):
        chart = self.panel.case.node("chart")
        if chart is not None:
            self.panel.place.remember()
            slicer.modules.plots.logic().ShowChartInLayout(chart)
            self.isNamed = False  # the layout may have got a view
            self._nameCharts()

    def _nameCharts(self):
        """Levels and cut-offs are named in the main window's chart views: a view once, for as long as it lives."""
        window = None if self.isNamed else slicer.util.mainWindow()
        for widget in slicer.util.findChildren(window.centralWidget(), className="qMRMLPlotWidget") if window else ():
            self.isNamed = True
            if not widget.property(NAMED_PROPERTY):
                view = widget.plotView()
                keep_names(view.chart(), view.renderWindow(), widget.mrmlPlotViewNode)
                widget.setProperty(NAMED_PROPERTY, True)

    @said
    def onAllColumns(self, checked=False):
        table = self.panel.case.node("levels") or self.panel.case.node("muscles")
        if table is not None:
            self.panel.place.remember()
            show_table(table)

    @said
    def onShowRois(self, checked):
        self.panel.case.set_visible(checked)


def _translateTitles(case):
    """Tables of the case with the titles of their columns, and the lines of its chart, in the user's language."""
    for role, columns in TABLES.items():
        table = case.node(role)
        for column in columns if table is not None else ():
            if table.GetColumnTitle(column.name) != translated(column.title):
                table.SetColumnTitle(column.name, translated(column.title))
    chart = case.node("chart")
    for number in range(chart.GetNumberOfPlotSeriesNodes() if chart is not None else 0):
        series = chart.GetNthPlotSeriesNode(number)
        if series is not None and series.GetYColumnName() in CHARTED:
            series.SetName(translated(CHARTED[series.GetYColumnName()]))


def flagsOf(document, level):
    """The flags of a level, the gravest first; the doubts of a level that no value uses are no errors."""
    used = next((row["used"] == "yes" for row in document["levels"] if row["level"] == level), True)
    mine = [flag for flag in document["flags"] if flag["level"] == level]
    mine = mine if used else [dict(flag, severity="warning" if flag["severity"] == "error" else flag["severity"]) for flag in mine]
    return sorted(mine, key=lambda flag: list(SEVERITY_COLORS).index(flag["severity"]))


def card(document):
    """The few numbers of a case as rich text: suggested fractures, values with range and cut-offs, doubts counted."""
    lines = [_suggestion(row) for row in document["levels"] if row.get("genant_grade") and not _isKnown(document, row["level"])]
    rows = [_measureRow(document, *headline) for headline in _headlines(document)]
    rows = [row for row in rows if row]
    table = f"<table cellspacing='0' cellpadding='2'>{''.join(rows)}</table>" if rows else _paragraph(_("No case value."))
    levels = {row["level"]: row["used"] == "yes" for row in document["levels"]}
    every = [flag for level in ("", *levels) for flag in flagsOf(document, level)]
    counts = {severity: sum(flag["severity"] == severity for flag in every) for severity in SEVERITY_COLORS}
    titles = dict(error=_("errors"), warning=_("warnings"), info=_("notes"))
    found = [f"<font color='{SEVERITY_COLORS[s]}'>{titles[s]}: {count}</font>" for s, count in counts.items() if count]
    below = [_("Doubts: {counts}").format(counts=", ".join(found)) if found else _("No doubts.")]
    below += [_("ROIs were edited by hand.")] if document["case"].get("edited") else []
    return "".join(map(_paragraph, lines)) + table + "".join(map(_paragraph, below))


def _paragraph(text):
    return f"<p style='margin:2px 0'>{text}</p>"


def _headlines(document):
    """The case values to show: name, title, decimals; a value with a published cut-off of its own is among them."""
    columns, found = {column.name: column for column in CASE_COLUMNS}, []
    for measure in HEADLINES:
        found.append((measure.name, measure.headline, measure.people))
        if measure.name == "hu_3d" and any(cutoff["measure"] == "hu_3d_wide" for cutoff in document["cutoffs"]):
            found.append(("hu_3d_wide", columns["hu_3d_wide"].title, measure.people))
    return found


def _isKnown(document, level):
    facts = document["facts"]
    return any(level in facts[state] for state in ("fractured", "cemented", "excluded"))


def _suggestion(row):
    loss = f"{row['height_loss_percent']:.0f}" if row.get("height_loss_percent") is not None else "?"
    text = _("{level}: fracture suggested (grade {grade}, {loss} % loss of height)")
    text = text.format(level=row["level"], grade=f"{row['genant_grade']:.0f}", loss=loss)
    mark = link(f"fractured:{row['level']}", _("mark as fractured"), "underline")
    return f"<font color='{SEVERITY_COLORS['warning']}'>{html.escape(text)}</font> {mark}"


def link(target, text, decoration):
    """A link in the color of the text: Qt's own blue cannot be read on dark ground."""
    color = slicer.app.palette().color(qt.QPalette.WindowText).name()
    return f"<a href='{target}' style='color:{color}; text-decoration:{decoration}'>{html.escape(text)}</a>"


def _measureRow(document, name, title, decimals):
    case = document["case"]
    if case.get(name) is None:
        return ""
    column = next(column for column in CASE_COLUMNS if column.name == name)
    low, high = case.get(f"{name}_low"), case.get(f"{name}_high")
    spread = f"{low:.{decimals}f}-{high:.{decimals}f}" if low is not None and high is not None else ""
    ground = slicer.app.palette().color(qt.QPalette.Mid).name()
    cutoffs = {}
    for cutoff in document["cutoffs"]:
        if cutoff["measure"] == name or f"{cutoff['measure']}_{cutoff['level'].lower()}" == name:
            cutoffs.setdefault((_sign(cutoff), cutoff["source"].split()[0]), []).append(f"{cutoff['cutoff']:g}")
    chips = " ".join(
        f"<span style='background-color:{ground}'>&nbsp;{html.escape(sign)}&nbsp;{',&nbsp;'.join(values)}&nbsp;{html.escape(source)}&nbsp;</span>"
        for (sign, source), values in cutoffs.items()
    )
    shown = translated(title).removesuffix(" %")
    shown = shown[0].upper() + shown[1:] if shown[1].islower() else shown
    cells = (
        link(f"place:{name}", shown, "none"),
        f"<b>{case[name]:.{decimals}f}</b>",
        f"{column.unit if column.unit not in shown else ''} {spread}".strip(),
        chips,
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _sign(cutoff):
    return {"<=": "\N{LESS-THAN OR EQUAL TO}", ">=": "\N{GREATER-THAN OR EQUAL TO}"}[cutoff["comparison"]]


def cutoffSentences(document):
    """Every published cut-off beside the value that it belongs to."""
    titles = {column.name: column.title for column in (*LEVEL_COLUMNS, *CASE_COLUMNS)}
    text = _("{measure} {value}: published cut-off {cutoff} for {purpose} ({source})")
    return [
        text.format(
            measure=" ".join(filter(None, (translated(titles[each["measure"]]), each["level"]))),
            value=f"{each['value']:.4g}",
            cutoff=f"{_sign(each)} {each['cutoff']:g}",
            purpose=translated(each["purpose"]),
            source="; ".join(filter(None, (each["source"], translated(each["note"])))),
        )
        for each in document["cutoffs"]
    ]


def doubts(document):
    """Reasons and flags as sentences in rich text: the case first, then level by level, those of unused levels last."""
    used = [row["level"] for row in document["levels"] if row["used"] == "yes"]
    others = [row["level"] for row in document["levels"] if row["used"] != "yes"]
    parts = [_paragraph(html.escape(translated(reason))) for reason in document["reasons"]]
    parts += [_flagItem(flag) for flag in flagsOf(document, "")]
    groups = [("", parts)] + [(level, [_flagItem(flag) for flag in flagsOf(document, level)]) for level in (*used, *others)]
    return "".join((f"<b>{title}</b>" if title else "") + "".join(items) for title, items in groups if items)


def _flagItem(flag):
    behind = behind_flag(flag, translated)
    text = html.escape(translated(flag["sentence"]) + (f" ({behind})" if behind else ""))
    return _paragraph(f"<font color='{SEVERITY_COLORS[flag['severity']]}'>\N{BLACK SQUARE}</font> {text}")


def _write(item, value, decimals):
    """A value into a cell: a text, or a number with so many decimals; nothing where there is none."""
    if decimals is None:
        item.setText(value or "")
    elif value is not None:
        item.setText(f"{value:.{decimals}f}")
    if decimals is not None:
        item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)


def _fill(table, titles, rows, shownAlways=()):
    """Fill a table with rows of items, at their height; columns that are empty are hidden, but for those always shown."""
    table.blockSignals(True)
    table.clear()
    table.setColumnCount(len(titles))
    table.setRowCount(len(rows))
    table.setHorizontalHeaderLabels(list(titles))
    table.verticalHeader().visible = False
    for number, items in enumerate(rows):
        for column, item in enumerate(items):
            table.setItem(number, column, item)
    for column in range(len(titles)):
        isEmpty = not any(items[column].text() for items in rows)
        table.setColumnHidden(column, isEmpty and column not in shownAlways)
        table.resizeColumnToContents(column)
        table.setColumnWidth(column, min(table.columnWidth(column), WIDEST_PIXELS))
    table.visible = bool(rows)
    table.blockSignals(False)
    height = table.horizontalHeader().height + sum(table.rowHeight(row) for row in range(min(len(rows), MOST_ROWS)))
    if sum(map(table.columnWidth, range(len(titles)))) > table.viewport().width:
        height += SCROLL_BAR_PIXELS
    table.setFixedHeight(height + FRAME_PIXELS)
