"""Questions about kinds of things, about everything, and about each of several: what is meant is found in the picture."""

from __future__ import annotations

import random
import re

from segue_training.model.config import RELATIONS

from .bank import join, plural
from .kinds import Kind
from .scene import SEG, Question, Scene, nothing, refusal, seen

_ONE = (
    "Where is the {}?",
    "Segment the {}.",
    "Show me the {}.",
    "Can you find the {}?",
    "Can you segment the {} in this image?",
    "Which {} is in the picture?",
    "What {} do you see?",
    "the {}",
    "{}",
    "I am looking for a {}.",
    "What kind of {} is this?",
    "Please mark the {} in the photo.",
    "Is there a {}? Where?",
    "Where can I see a {}?",
    "Point at the {}.",
    "What is the {} here?",
    "Find a {} in the image.",
    "Which thing is a {}?",
    "Highlight the {}, please.",
    "a {}",
    "Point to the {}.",
    "Locate the {}.",
    "where's the {}",
    "There's a {} in this picture, highlight it.",
    "Is there any {} here? Mark it.",
    "Tell me which {} you see.",
    "Which {} is this?",
    "I can see a {}. Where is it?",
)
_ONE_TEST = (
    "Could you show me where the {} is?",
    "Which of these is a {}?",
    "Please outline the {}.",
    "Do you see a {}? Segment it.",
    "I would like to see the {}.",
)
_MANY = (
    "Which {} are in this picture?",
    "Segment all the {}.",
    "Show me all {}.",
    "What {} do you see?",
    "Where are the {}?",
    "all {}",
    "{}",
    "Find the {} in this image.",
    "Mark every one of the {}.",
    "What {} are there?",
    "Can you segment the {}?",
    "Highlight all of the {}.",
    "Are there any {}? Show me.",
    "Point at all {}.",
    "Which {} can you find?",
    "Please segment all {} in this image.",
    "Point to the {}.",
    "There are some {} in this picture, highlight them.",
    "which {} are there",
    "Locate all {}.",
    "Show the {}.",
)
_MANY_TEST = (
    "What {} can be seen here?",
    "Please point out the {}.",
    "List the {} in the photo.",
    "Which {} does the image show?",
)
_EVERYTHING = (
    "Segment everything.",
    "Segment all objects.",
    "Mark everything you see.",
    "Show me everything in the picture.",
    "everything",
    "Segment every object in this image.",
    "all objects",
    "Find all the things in the photo.",
    "Can you segment everything?",
    "What is in the picture? Mark each thing.",
    "Highlight all you can see.",
    "Please segment all things here.",
    "Segment the whole scene.",
    "Which things do you see? Segment them.",
    "Label everything.",
)
_BUT = (
    "Segment everything except the {}.",
    "Everything but the {}.",
    "Mark all things besides the {}.",
    "Show me everything except the {}.",
    "Segment all objects but the {}.",
    "all but the {}",
    "Segment everything that is not the {}.",
    "Highlight everything without the {}.",
)
_EACH = (
    "Segment each {} separately.",
    "Mark each {} on its own.",
    "Show me every single {} one by one.",
    "Segment the {s} separately.",
    "each {} separately",
    "I want one mask for each {}.",
    "Segment the {s} one by one.",
    "Give every {} a mask of its own.",
    "Separate masks for the {s}, please.",
    "Segment all {s} individually.",
)
_WHY = (" Why?", " Explain.", " Please explain why.", " Give a reason.", " And why?", " Explain your answer.")
_ALL = re.compile(r"\b(everything|things|every|all|whatever|anything|beings|segments?)\b", re.IGNORECASE)
_NTH = ("first", "second", "third", "fourth")
_FROM_LEFT = ("left", "second_left", "third_left", "fourth_left")
_MOST = 6
"""Things that one answer names at most."""


class KindQuestions:
    """Draws them for scenes; `names` by thing."""

    def __init__(self, names: list[str], kinds: list[Kind]):
        self.names, self.kinds = names, kinds

    def kind(self, scene: Scene, rng: random.Random) -> Question | None:
        """ "Where is the animal?", "What could I eat?" """
        here, gone = self._known(scene)
        pool = here if here and (not gone or rng.random() < 0.68) else gone
        if not pool:
            return None
        if pool is gone and rng.random() < 0.4:  # the detector half believes in one of them
            pool = [kind for kind in gone if kind.of & set(scene.hinted)] or gone
        return self.ask(rng.choice(pool), scene, rng)

    def each_kind(self, scene: Scene, rng: random.Random) -> list[Question]:
        """A question about every kind that is surely there or not, in words that training never uses."""
        return [self.ask(kind, scene, rng, test=True) for kinds in self._known(scene) for kind in kinds]

    def _known(self, scene: Scene) -> tuple[list[Kind], list[Kind]]:
        """Kinds of which something is there, and kinds of which surely nothing is."""
        shown = set(scene.present) | set(scene.unclear)
        known = [kind for kind in self.kinds if kind.known_in(shown)]
        here = [kind for kind in known if kind.of & set(scene.present)]
        return here, [kind for kind in known if not kind.of & shown]

    def ask(self, kind: Kind, scene: Scene, rng: random.Random, test: bool = False) -> Question:
        """A question about one kind; test: in words that training never uses."""
        many = rng.random() < 0.4
        if kind.nouns:
            noun = rng.choice(kind.nouns)
            words = noun[many]
            shapes = (_MANY_TEST if many else _ONE_TEST) if test else (_MANY if many else _ONE)
            text = with_article(rng.choice(shapes), words)
        else:
            text = rng.choice(kind.test_questions if test else kind.questions)
            many, noun = bool(_ALL.search(text)), ("", "")
        found = [thing for thing in scene.present if thing in kind.of]
        if not found:
            answer = nothing(kind.need) if kind.need else refusal(noun[0])
            return Question("kind_absent", text, answer + seen(scene, self.names))
        answer, targets = self.named(scene, found[:_MOST], many)
        if not test and rng.random() < 0.15:
            several = len(targets) > 1 or targets[0][1] == RELATIONS.index("all")
            text, answer = text + rng.choice(_WHY), f"{answer} {'They' if several else 'It'} {kind.why[several]}."
        return Question("kind", text, answer, targets)

    def everything(self, scene: Scene, rng: random.Random) -> Question | None:
        """ "Segment everything.", "Everything but the cup." """
        if not scene.present:
            return None
        rest = list(scene.present)
        if len(rest) > 1 and rng.random() < 0.4:
            left_out = rng.choice(rest[:_MOST])
            rest.remove(left_out)
            word = self.names[left_out]
            text = rng.choice(_BUT).format(plural(word) if scene.present[left_out] > 1 else word)
        else:
            text = rng.choice(_EVERYTHING)
        answer, targets = self.named(scene, rest[:_MOST], True, listed=True)
        return Question("everything", text, answer, targets)

    def each(self, scene: Scene, rng: random.Random) -> Question | None:
        """ "Segment each cup separately." """
        several = [thing for thing, count in scene.present.items() if 2 <= count <= len(_NTH)]
        if not several:
            return None
        thing = rng.choice(several)
        name, count = self.names[thing], scene.present[thing]
        text = rng.choice(_EACH).replace("{s}", plural(name)).format(name)
        answer = f"I see {join([f'the {nth} {name} {SEG}' for nth in _NTH[:count]])}."
        return Question("each", text, answer, [(thing, RELATIONS.index(relation)) for relation in _FROM_LEFT[:count]])

    def named(self, scene: Scene, found: list[int], many: bool, listed: bool = False) -> tuple[str, list[tuple[int, int]]]:
        """An answer that names these things, and its targets.

        many: all of a kind are meant; listed: in a list even when it is one.
        """
        words, targets = [], []
        for thing in found:
            name = self.names[thing]
            all_of_them = many and scene.present[thing] > 1 and plural(name) != name
            words.append(f"the {plural(name) if all_of_them else name} {SEG}")
            targets.append((thing, RELATIONS.index("all" if all_of_them else "one")))
        if len(found) > 1 or listed:
            return f"I see {join(words)}.", targets
        return f"{'They are' if targets[0][1] else 'It is'} {words[0]}.", targets


def with_article(shape: str, words: str) -> str:
    """The words in a sentence: "a {}" becomes "an animal", and loses its article before what is no single thing."""
    uncounted = words in ("furniture", "kitchenware", "tableware", "cutlery", "silverware", "luggage", "food")
    if uncounted or (words.startswith(("piece", "means")) and shape == "a {}"):
        shape = re.sub(r"\ba \{\}", "{}", shape)
    if words[0] in "aeiou":
        shape = re.sub(r"\b([aA]) \{\}", r"\1n {}", shape)
    return shape.format(words)
