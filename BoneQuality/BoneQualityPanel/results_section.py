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
#: Readable on light and on dark ground.
SEVERITY_COLORS = dict(error="#d9534f", warning="#c77700", info="#5b8db8")
NAMED_PROPERTY = "BoneQuality.Named"
MOST_ROWS, WIDEST_PIXELS, FRAME_PIXELS = 12, 130, 4
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
        self.levels = []  # the rows of the table of levels
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
        for view, role in ((ui.muscleTable, "muscles"), (ui.caseTable, "case")):
            if view.mrmlTableNode() is not case.node(role):
                view.setMRMLTableNode(case.node(role))
        if case.node("case") is not None:
            ui.caseTable.transposed = True  # refused as long as there is no table
            _translateTitles(case)
        ui.card.visible = ui.resultsSection.visible = ui.resultsSection.enabled = case.is_measured
        if not case.is_measured:
            self.levels = []
            ui.levelTable.setRowCount(0)
            ui.flagsText.clear()
            ui.cardLabel.text = ""
            return
        document = case.document
        ui.cardLabel.text = card(document)
        ui.cardLabel.toolTip = "<br>".join(html.escape(sentence) for sentence in cutoffSentences(document))
        ui.flagsText.setHtml(doubts(document))
        self._fillLevels(document)
        self._fitMuscles()
        ui.chartButton.enabled = case.node("chart") is not None
        if any(node.GetPlotChartNodeID() for node in every_node("vtkMRMLPlotViewNode")):  # also of a scene that was opened
            self._nameCharts()
        ui.showRoisButton.checked = case.is_visible()

    # The table of levels

    def _fillLevels(self, document):
        table, ui = self.ui.levelTable, self.ui
        used = [row for row in document["levels"] if row["used"] == "yes"]
        others = [row for row in document["levels"] if row["used"] != "yes"]
        suggested = [row for row in others if row.get("genant_grade")]
        folded = [row for row in others if row not in suggested]
        rows = used + suggested + (folded if ui.allLevelsBox.checked else [])
        ui.allLevelsBox.text = _("Also levels that no value uses ({count})").format(count=len(folded))
        ui.allLevelsBox.visible = bool(folded)
        titles = (_("Level"), _("3D"), _("Upper"), _("Middle"), _("Lower"), _("VBQ"), _("Fracture"), _("Doubts"))
        table.blockSignals(True)
        table.clear()
        table.setColumnCount(len(COLUMNS))
        table.setRowCount(len(rows))
        table.setHorizontalHeaderLabels(list(titles))
        table.verticalHeader().visible = False
        for number, row in enumerate(rows):
            for column, (name, decimals) in enumerate(COLUMNS):
                table.setItem(number, column, self._item(document, row, name, decimals))
        for column, (name, _decimals) in enumerate(COLUMNS):
            isEmpty = all(not table.item(number, column).text() for number in range(len(rows)))
            table.setColumnHidden(column, isEmpty and name not in ("level", "flags"))
        table.resizeColumnsToContents()
        table.visible = bool(rows)
        table.blockSignals(False)
        self.levels = [row["level"] for row in rows]
        _fitHeight(table, len(rows))

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
        elif decimals is None:
            item.setText(row[name])
        elif row.get(name) is not None:
            item.setText(f"{row[name]:.{decimals}f}")
        if decimals is not None:
            item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        return item

    def _fitMuscles(self):
        """The table of muscles at its height, without columns that say nothing here."""
        view, table = self.ui.muscleTable, self.ui.muscleTable.mrmlTableNode()
        view.visible = table is not None and table.GetNumberOfRows() > 0
        if not view.visible:
            return
        view.resizeColumnsToContents()
        for column in range(table.GetNumberOfColumns()):
            texts = {table.GetCellText(row, column) for row in range(table.GetNumberOfRows())}
            view.setColumnHidden(column, texts <= NOTHING_SAID or table.GetColumnName(column) == "case_id")
            view.setColumnWidth(column, min(view.columnWidth(column), WIDEST_PIXELS))
        rows = view.verticalHeader().defaultSectionSize * min(table.GetNumberOfRows(), MOST_ROWS)
        view.setFixedHeight(view.horizontalHeader().height + rows + 6 * FRAME_PIXELS)

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
        table = self.panel.case.node("levels")
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
    chips = " ".join(
        f"<span style='background-color:{ground}'>&nbsp;{html.escape(_sign(cutoff))}&nbsp;{cutoff['cutoff']:g} "
        f"{html.escape(cutoff['source'].split()[0])}&nbsp;</span>"
        for cutoff in document["cutoffs"]
        if cutoff["measure"] == name or f"{cutoff['measure']}_{cutoff['level'].lower()}" == name
    )
    shown = translated(title)
    shown = shown[0].upper() + shown[1:] if shown[1].islower() else shown
    cells = (
        link(f"place:{name}", shown, "none"),
        f"<b>{case[name]:.{decimals}f}</b>",
        f"{column.unit if column.unit != '%' else ''} {spread}".strip(),
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
    parts = [f"<li>{html.escape(translated(reason))}</li>" for reason in document["reasons"]]
    parts += [_flagItem(flag) for flag in flagsOf(document, "")]
    groups = [("", parts)] + [(level, [_flagItem(flag) for flag in flagsOf(document, level)]) for level in (*used, *others)]
    shown = [(f"<b>{title}</b>" if title else "") + f"<ul>{''.join(items)}</ul>" for title, items in groups if items]
    return "".join(shown) or _("No doubts.")


def _flagItem(flag):
    behind = behind_flag(flag, translated)
    text = html.escape(translated(flag["sentence"]) + (f" ({behind})" if behind else ""))
    return f"<li><font color='{SEVERITY_COLORS[flag['severity']]}'>\N{BLACK SQUARE}</font> {text}</li>"


def _fitHeight(table, rows):
    shown = sum(table.rowHeight(row) for row in range(min(rows, MOST_ROWS)))
    table.setFixedHeight(table.horizontalHeader().height + shown + FRAME_PIXELS)
