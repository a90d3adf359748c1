"""SCORE in the Processing toolbox of QGIS: finds named objects in a raster layer.

Needs no package inside QGIS: it calls the command `score-hf`, which may live in an environment of
its own (`pip install "score-hf[geo]"`). Install the script from the toolbox: Scripts, Add Script to
Toolbox.
"""

import os
import shutil
import subprocess

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)
from qgis.PyQt.QtCore import QCoreApplication, QSettings

COMMAND_SETTING = "score_hf/command"


class SegmentNamedObjects(QgsProcessingAlgorithm):
    """Calls `score-hf segment` and loads the map that it writes."""

    INPUT, CLASSES, MODEL, THRESHOLD, GSD, EXTENT, MORE, COMMAND, OVERWRITE, OUTPUT = (
        "INPUT",
        "CLASSES",
        "MODEL",
        "THRESHOLD",
        "GSD",
        "EXTENT",
        "MORE",
        "COMMAND",
        "OVERWRITE",
        "OUTPUT",
    )

    def createInstance(self):
        """Makes another of its kind, as QGIS asks."""
        return SegmentNamedObjects()

    def name(self):
        """The name for scripts."""
        return "segment_named_objects"

    def displayName(self):
        """The name for people."""
        return self.tr("Segment named objects (SCORE)")

    def group(self):
        """The group in the toolbox."""
        return self.tr("Image analysis")

    def groupId(self):
        """The group for scripts."""
        return "image_analysis"

    def shortHelpString(self):
        """What the dialog says."""
        return self.tr(
            "Finds the instances of named classes in an aerial or satellite image and loads them "
            "as polygons with class, score and area.\n\nClasses: ship, harbor, storage tank | oil "
            "tank. Commas separate classes, | synonyms.\n\nA run that was cancelled goes on where "
            "it was when it is started again with the same settings and output file."
        )

    def tr(self, text):
        """Translates."""
        return QCoreApplication.translate("SegmentNamedObjects", text)

    def initAlgorithm(self, configuration=None):
        """Declares the parameters."""
        add = self.addParameter
        add(QgsProcessingParameterRasterLayer(self.INPUT, self.tr("Image")))
        add(QgsProcessingParameterString(self.CLASSES, self.tr("Classes"), "ship, harbor"))
        add(
            QgsProcessingParameterString(
                self.MODEL, self.tr("Model: folder or hub id (empty: the demonstration)"), "",
                optional=True,
            )
        )  # fmt: skip
        number = QgsProcessingParameterNumber
        add(
            number(
                self.THRESHOLD, self.tr("Lowest score"), number.Double, 0.3, minValue=0, maxValue=1
            )
        )
        add(
            number(
                self.GSD, self.tr("Ground size of a pixel for the model, in metres"),
                number.Double, None, optional=True, minValue=0,
            )
        )  # fmt: skip
        add(QgsProcessingParameterExtent(self.EXTENT, self.tr("Only this part"), optional=True))
        add(
            QgsProcessingParameterString(
                self.MORE, self.tr("More options of score-hf segment"), "", optional=True
            )
        )
        add(
            QgsProcessingParameterFile(
                self.COMMAND, self.tr("The program score-hf"),
                defaultValue=QSettings().value(COMMAND_SETTING) or shutil.which("score-hf") or "",
            )
        )  # fmt: skip
        add(
            QgsProcessingParameterBoolean(
                self.OVERWRITE, self.tr("Replace a map that is there"), False
            )
        )
        add(
            QgsProcessingParameterVectorDestination(
                self.OUTPUT, self.tr("Objects"), QgsProcessing.TypeVectorPolygon
            )
        )

    def processAlgorithm(self, parameters, context, feedback):
        """Runs the command, passes on what it says, and ends it if the user cancels."""
        command = self.parameterAsString(parameters, self.COMMAND, context)
        if not command or not shutil.which(command):
            raise QgsProcessingException(
                self.tr("Give the place of the program score-hf; %s is none.") % repr(command)
            )
        QSettings().setValue(COMMAND_SETTING, command)
        layer = self.parameterAsRasterLayer(parameters, self.INPUT, context)
        output = self.parameterAsOutputLayer(parameters, self.OUTPUT, context)
        arguments = segment_arguments(
            command,
            layer.source(),
            output,
            classes=self.parameterAsString(parameters, self.CLASSES, context),
            model=self.parameterAsString(parameters, self.MODEL, context),
            threshold=self.parameterAsDouble(parameters, self.THRESHOLD, context),
            gsd=parameters.get(self.GSD) and self.parameterAsDouble(parameters, self.GSD, context),
            bbox=self._box(parameters, context),
            overwrite=self.parameterAsBool(parameters, self.OVERWRITE, context),
            more=self.parameterAsString(parameters, self.MORE, context),
        )
        feedback.pushCommandInfo(subprocess.list2cmdline(arguments))
        run(arguments, feedback)
        if feedback.isCanceled():
            return {}
        return {self.OUTPUT: output}

    def _box(self, parameters, context):
        if not parameters.get(self.EXTENT):
            return None
        from qgis.core import QgsCoordinateReferenceSystem

        degrees = QgsCoordinateReferenceSystem("EPSG:4326")
        box = self.parameterAsExtent(parameters, self.EXTENT, context, degrees)
        return box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()


def segment_arguments(
    command, source, output, classes, model, threshold, gsd, bbox, overwrite, more
):
    """Puts the command line together.

    Args:
        command: The program.
        source: The raster, as QGIS names it.
        output: The map.
        classes: Names, or the path of a vocabulary file.
        model: Folder or hub id; empty for the demonstration.
        threshold: Lowest score.
        gsd: Ground size of a pixel in metres; None for that of the file.
        bbox: West, south, east and north in degrees; None for all.
        overwrite: Whether a map that is there is replaced.
        more: Further options, as typed.

    Returns:
        A list of arguments.
    """
    arguments = [command, "segment", source, "-o", output, "--progress", "json"]
    arguments += ["--classes-file" if os.path.isfile(classes) else "--classes", classes]
    arguments += ["--threshold", str(threshold)]
    if model:
        arguments += ["--model", model]
    if gsd:
        arguments += ["--gsd", str(gsd)]
    if bbox:
        arguments.append("--bbox=" + ",".join(f"{side:.9f}" for side in bbox))
    if overwrite:
        arguments.append("--overwrite")
    return arguments + more.split()


def run(arguments, feedback):
    """Runs a command; tells its progress and what it says.

    Args:
        arguments: The command line.
        feedback: Of QGIS.

    Raises:
        QgsProcessingException: If the command fails.
    """
    import json

    hidden = subprocess.CREATE_NO_WINDOW if os.name == "nt" else 0
    process = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        creationflags=hidden,
    )
    last = ""
    for line in process.stdout:
        if feedback.isCanceled():
            process.terminate()
            break
        if line.startswith("{"):
            told = json.loads(line)
            feedback.setProgress(100 * told["done"] / max(told["total"], 1))
            feedback.setProgressText(f"{told['found']} objects so far")
        elif line.strip():
            last = line.strip()
            feedback.pushInfo(last)
    if process.wait() and not feedback.isCanceled():
        raise QgsProcessingException(last)
