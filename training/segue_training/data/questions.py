"""Questions about a scene and their answers, in LISA's kinds of data."""

from __future__ import annotations

import random

from segue_training.model.config import COLOURS, RELATIONS

from .bank import FollowUp, Thing, article, join, languages, plural
from .kind_questions import KindQuestions
from .kinds import load_kinds
from .scene import SEG, Question, Scene, only_things, refusal, seen
from .which import HELD_PHRASES, NEAR_PHRASES, phrases

_EXPLICIT = (
    "Can you segment the {} in this image?",
    "Can you segment the {} in this image?",
    "Please segment the {} in this image.",
    "What is the {} in this image? Please respond with a segmentation mask.",
    "Segment the {}.",
    "Where is the {}?",
    "Show me the {}.",
    "Find the {} in the picture.",
    "Could you outline the {}?",
    "the {}",
    "{}",
    "Mark the {}, please.",
    "I am looking for the {}. Where is it?",
    "Please give me the mask of the {}.",
    "Highlight the {}.",
    "Select the {} here.",
    "Point to the {}.",
    "Point at the {}.",
    "Locate the {}.",
    "Where's the {}?",
    "Circle the {}.",
    "Cut out the {}.",
    "Draw around the {}.",
    "Tell me where the {} is.",
    "Can you see the {}? Mark it.",
    "There's {a} in this picture, highlight it.",
    "There is {a} somewhere. Where?",
    "I can see {a}. Can you mark it?",
    "{a}, where is it?",
    "Is this {a}? Show me.",
)
_PLURAL = (
    "Segment all the {}.",
    "Can you segment all the {} in this image?",
    "all {}",
    "Show me all of the {}.",
    "Mark every one of the {}.",
    "Please segment the {} in this image, all of them.",
    "Where are the {}?",
    "Find all {} in the picture.",
    "Segment the {}.",
    "Can you segment the {} in this image?",
    "Highlight each of the {}.",
    "Point to the {}.",
    "Locate all the {}.",
    "There are some {} in this picture, highlight them.",
    "Are there any {}? Show me.",
    "{}, please",
)
_USE = (
    "What here could I use to {}?",
    "What in this picture could I use to {}?",
    "Which object would help me to {}?",
    "I want to {}. What do I need?",
    "If I wanted to {}, which thing here would I need?",
    "I would like to {}. Segment what I need.",
    "Which of these things does one need to {}?",
    "What should I take to {}?",
    "Please segment what someone would use to {}.",
    "My plan is to {}. What in the image can help?",
    "something to {}",
)
_IS = (
    "Show me the {}.",
    "Segment the {}.",
    "Where is the {}?",
    "Can you find the {}?",
    "Can you segment the {} in this image?",
    "the {}",
    "Which thing in the picture is the {}?",
    "Please mark the {}.",
    "I am looking for the {}.",
    "Point to the {}.",
    "Highlight the {}.",
    "There must be the {} here. Where?",
)
_EXPLAIN = (
    " Please explain why.",
    " Explain your choice.",
    " Why?",
    " Please output the mask and explain why.",
    " Give a reason.",
)
_WHY = ("Why?", "Why that?", "Why is that?", "Can you explain?", "How do you know?", "Why this one?", "Explain, please.", "why")
_PHRASE = (
    "Can you segment {} in this image?",
    "Segment {}.",
    "Where is {}?",
    "Show me {}.",
    "Please segment {}.",
    "{}",
    "Find {} in the picture.",
    "Could you mark {}?",
    "I mean {}. Where is it?",
    "Point to {}.",
    "Highlight {}.",
    "Could you point out {}?",
)
_SEVERAL = (
    "Segment {}.",
    "Can you segment {} in this image?",
    "Where are {}?",
    "Please mark {}.",
    "Show me {}.",
    "Find {}.",
    "{}",
    "I need the masks of {}.",
)
_AND = (
    "And the {}?",
    "What about the {}?",
    "And where is the {}?",
    "Now the {}.",
    "And the {}, please.",
    "Also the {}.",
    "How about the {}?",
)
_AND_WHICH = ("And {}?", "What about {}?", "I mean {}.", "Only {}, please.", "And which is {}?", "Just {}.")
_SAME = (
    "Segment it.",
    "Where is it?",
    "Show me where it is.",
    "Can you mark it?",
    "Please segment it in the image.",
    "Then show it to me.",
    "Give me its mask.",
    "Highlight it.",
)
_IS_THERE = ("Is there {} in this image?", "Can you see {}?", "Do you see {} here?", "Does the picture show {}?")
_WHAT = (
    "What do you see?",
    "What is in this image?",
    "Describe the picture.",
    "Which things are in the picture?",
    "What can be seen here?",
    "What is this?",
    "What is here?",
    "Tell me what you see.",
    "What is going on here?",
)
_COUNT = ("How many {} are there?", "How many {} do you see?", "Count the {}.", "What is the number of {} in the image?")
_NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

_OPENINGS = ("Hi! ", "Hello, ", "Hey, ", "OK. ", "Please help me. ", "A question: ", "so, ")
_CLOSINGS = (" Please.", " please", " Thanks.", " thx", " Thank you!", " Can you help?", " pls")

_MIX = {
    "explicit": 15,
    "absent": 13,
    "reasoning": 19,
    "reasoning_absent": 4,
    "kind": 26,
    "referring": 8,
    "coloured": 2.5,
    "near": 3,
    "plural": 5,
    "several": 4,
    "everything": 4,
    "each": 2,
    "partly": 2,
    "is_there": 4,
    "what": 1.5,
    "count": 1.5,
    "and_another": 3,
    "which_of_them": 2,
    "same_again": 2,
    "follow_up": 4,
    "why": 1.5,
    "foreign": 1.5,
    "scenery": 1.5,
}


ONLY_ENGLISH = "I only read English. Please ask in English."
"""The answer to a question in another language."""


_SCENERY = (
    "background",
    "foreground",
    "sky",
    "ground",
    "floor",
    "ceiling",
    "grass",
    "road",
    "street",
    "water",
    "sea",
    "beach",
    "sand",
    "snow",
    "mountains",
    "forest",
    "landscape",
    "room",
    "shadow",
    "horizon",
)
"""What surrounds things and is none itself."""


class QuestionMaker:
    """Draws questions about scenes."""

    def __init__(
        self,
        things: list[Thing],
        follow_ups: list[FollowUp],
        mix: dict[str, float] | None = None,
        relations: tuple[str, ...] = RELATIONS,
    ):
        self.things, self.follow_ups, self.mix = things, follow_ups, dict(mix or _MIX)
        self.names = [thing.name for thing in things]
        self.foreign, _ = languages()
        self.relations, self.phrases = relations, phrases(relations)
        kinds = KindQuestions(self.names, load_kinds(things))
        self._drawn_by = {kind: getattr(self, f"_{kind}") for kind in self.mix if kind not in ("kind", "everything", "each")}
        self._drawn_by |= {"kind": kinds.kind, "everything": kinds.everything, "each": kinds.each}
        for kind, needed in (("coloured", COLOURS[0]), ("near", "near"), ("each", "fourth_left")):
            if needed not in relations:
                self.mix.pop(kind, None)

    def draw(self, scene: Scene, rng: random.Random) -> Question:
        """One question of a random kind that the scene allows; now and then as a second turn."""
        question = self._draw(scene, rng)
        if not question.history and rng.random() < 0.06:
            earlier = self._draw(scene, rng)
            question.history = [(earlier.text, earlier.answer)]
        return question

    def _draw(self, scene: Scene, rng: random.Random) -> Question:
        kinds, odds = list(self.mix), list(self.mix.values())
        while True:
            question = self._drawn_by[rng.choices(kinds, odds)[0]](scene, rng)
            if question is not None:
                question.text = _casual(question.text, rng)
                return question

    def _word(self, thing: int, rng: random.Random) -> str:
        words = self.things[thing].synonyms
        return rng.choice(words) if words and rng.random() < 0.2 else self.things[thing].name

    def _present(self, scene: Scene, rng: random.Random) -> int | None:
        # Rare things are asked about more often than the people who are in every second photo.
        names = list(scene.present)
        return rng.choices(names, [0.4 if self.things[n].name == "person" else 1.0 for n in names])[0] if names else None

    def _explicit(self, scene: Scene, rng: random.Random) -> Question | None:
        thing = self._present(scene, rng)
        if thing is None:
            return None
        text = explicit(self._word(thing, rng), rng)
        if scene.captions and rng.random() < 0.1:
            text = f"This is a photo of: {rng.choice(scene.captions).strip().rstrip('.').lower()}. " + text
        return Question("explicit", text, f"It is the {self.things[thing].name} {SEG}.", [(thing, 0)])

    def _gone(self, scene: Scene, rng: random.Random) -> int | None:
        pool = scene.hinted if scene.hinted and rng.random() < 0.35 else scene.absent
        return rng.choice(pool) if pool else None

    def _absent(self, scene: Scene, rng: random.Random) -> Question | None:
        thing = self._gone(scene, rng)
        if thing is None:
            return None
        word = self._word(thing, rng)
        if rng.random() < 0.2:
            text = rng.choice(_PHRASE).format(rng.choice(self.phrases[rng.choice(list(self.phrases))]).format(word))
        elif rng.random() < 0.15:
            text = rng.choice(_PLURAL).format(plural(word))
        else:
            text = explicit(word, rng)
        return Question("absent", text, refusal(word) + self._seen(scene, thing))

    def _seen(self, scene: Scene, asked: int) -> str:
        return seen(scene, self.names, asked)

    @staticmethod
    def _hint(thing: Thing, rng: random.Random) -> tuple[str, str]:
        """A question that means a thing without naming it, and the reason why it is the answer."""
        if thing.questions and rng.random() < 0.6:
            return rng.choice(thing.questions), thing.reason
        forms: list[tuple[tuple[str, ...], str, str]] = [(_USE, use, "One can use it to {}.") for use in thing.uses]
        forms += [(_IS, words, "It is the {}.") for words in thing.descriptions]
        templates, words, reason = rng.choice(forms)
        return rng.choice(templates).format(words), reason.format(words)

    def _reasoning(self, scene: Scene, rng: random.Random) -> Question | None:
        # None beside a thing that is held out: it would be learnt that such a thing is never meant.
        names = [thing for thing in scene.present if self.things[thing].reasoned]
        if not names or any(self.things[thing].held_out for thing in scene.present):
            return None
        thing = rng.choice(names)
        (text, reason), answer = self._hint(self.things[thing], rng), f"It is the {self.things[thing].name} {SEG}."
        if reason and rng.random() < 0.2:
            text, answer = text + rng.choice(_EXPLAIN), f"{answer} {reason}"
        elif rng.random() < 0.1:
            text += " Please output the segmentation mask."
        return Question("reasoning", text, answer, [(thing, 0)])

    def _reasoning_absent(self, scene: Scene, rng: random.Random) -> Question | None:
        gone = [
            thing
            for thing in scene.absent
            if self.things[thing].reasoned and not scene.neighbours.get(thing, set()) & set(scene.present)
        ]
        if not gone:
            return None
        thing = rng.choice(gone)
        text, _ = self._hint(self.things[thing], rng)
        return Question("reasoning_absent", text, refusal(self.things[thing].name) + self._seen(scene, thing))

    def _referring(self, scene: Scene, rng: random.Random) -> Question | None:
        several = [thing for thing, count in scene.present.items() if count > 1]
        thing = rng.choice(several) if several and rng.random() < 0.7 else self._present(scene, rng)
        if thing is None:
            return None
        return self._which(thing, rng.choice([relation for relation in self.phrases if relation not in COLOURS]), rng)

    def _coloured(self, scene: Scene, rng: random.Random) -> Question | None:
        thing = self._present(scene, rng)
        return None if thing is None else self._which(thing, rng.choice(COLOURS), rng)

    def _which(self, thing: int, relation: str, rng: random.Random) -> Question:
        phrase = rng.choice(self.phrases[relation]).format(self._word(thing, rng))
        answer = f"It is the {self.things[thing].name} {SEG}."
        return Question("referring", rng.choice(_PHRASE).format(phrase), answer, [(thing, RELATIONS.index(relation))])

    def _near(self, scene: Scene, rng: random.Random) -> Question | None:
        """ "the cup next to the laptop" """
        if len(scene.present) < 2:
            return None
        thing, landmark = rng.sample(list(scene.present), 2)
        shapes = NEAR_PHRASES + HELD_PHRASES if self.names[landmark] == "person" else NEAR_PHRASES
        phrase = rng.choice(shapes).format(self._word(thing, rng), self._word(landmark, rng))
        answer = f"It is the {self.names[thing]} {SEG}."
        return Question("referring", rng.choice(_PHRASE).format(phrase), answer, [(thing, RELATIONS.index("near"), landmark)])

    def _why(self, scene: Scene, rng: random.Random) -> Question | None:
        """ "What could I stir with?" ... "Why?" """
        earlier = self._reasoning(scene, rng)
        if earlier is None:
            return None
        (text, reason), answer = (
            self._hint(self.things[earlier.targets[0][0]], rng),
            f"It is the {self.names[earlier.targets[0][0]]} {SEG}.",
        )
        return Question("vqa", rng.choice(_WHY), reason, [], [(text, answer)]) if reason else None

    def _foreign(self, scene: Scene, rng: random.Random) -> Question:
        return Question("foreign", rng.choice(self.foreign), ONLY_ENGLISH)

    def _scenery(self, scene: Scene, rng: random.Random) -> Question:
        """ "Segment the background." """
        word = rng.choice(_SCENERY)
        return Question("scenery", rng.choice(_EXPLICIT[:11]).format(word), only_things(word) + seen(scene, self.names))

    def _plural(self, scene: Scene, rng: random.Random) -> Question | None:
        several = [thing for thing, count in scene.present.items() if count > 1]
        if not several:
            return None
        thing = rng.choice(several)
        if plural(self.things[thing].name) == self.things[thing].name:
            return None
        text = rng.choice(_PLURAL).format(plural(self._word(thing, rng)))
        answer = f"They are the {plural(self.things[thing].name)} {SEG}."
        return Question("plural", text, answer, [(thing, RELATIONS.index("all"))])

    def _several(self, scene: Scene, rng: random.Random) -> Question | None:
        if len(scene.present) < 2:
            return None
        chosen = rng.sample(list(scene.present), 3 if len(scene.present) > 2 and rng.random() < 0.2 else 2)
        text = rng.choice(_SEVERAL).format(join([f"the {self._word(thing, rng)}" for thing in chosen]))
        answer = "It is " + join([f"the {self.things[thing].name} {SEG}" for thing in chosen]) + "."
        return Question("several", text, answer, [(thing, 0) for thing in chosen])

    def _partly(self, scene: Scene, rng: random.Random) -> Question | None:
        here, gone = self._present(scene, rng), self._gone(scene, rng)
        if here is None or gone is None:
            return None
        words = [f"the {self.things[here].name}", f"the {self.things[gone].name}"]
        if rng.random() < 0.5:
            words.reverse()
        answer = f"It is the {self.things[here].name} {SEG}. {refusal(self.things[gone].name)}"
        return Question("partly", rng.choice(_SEVERAL).format(join(words)), answer, [(here, 0)])

    def _and_another(self, scene: Scene, rng: random.Random) -> Question | None:
        """ "Segment the cup." ... "And the spoon?", which may be there or not."""
        first, second = self._explicit(scene, rng), self._explicit(scene, rng) if rng.random() < 0.7 else self._absent(scene, rng)
        if first is None or second is None:
            return None
        thing = second.targets[0][0] if second.targets else self._gone(scene, rng)
        if thing is None:
            return None
        word = self._word(thing, rng)
        answer = f"It is the {self.things[thing].name} {SEG}." if second.targets else refusal(word) + self._seen(scene, thing)
        return Question("follow_up", rng.choice(_AND).format(word), answer, second.targets, [(first.text, first.answer)])

    def _which_of_them(self, scene: Scene, rng: random.Random) -> Question | None:
        """ "Segment all the cups." ... "And the one on the left?" """
        several = [thing for thing, count in scene.present.items() if count > 1]
        if not several:
            return None
        thing, relation = rng.choice(several), rng.choice(list(self.phrases))
        name, many = self.things[thing].name, plural(self.things[thing].name)
        earlier = rng.choice(
            [
                (rng.choice(_PLURAL).format(many), f"They are the {many} {SEG}."),
                (explicit(name, rng), f"It is the {name} {SEG}."),
            ]
        )
        text = rng.choice(_AND_WHICH).format(rng.choice(self.phrases[relation]).format("one"))
        return Question("follow_up", text, f"It is the {name} {SEG}.", [(thing, RELATIONS.index(relation))], [earlier])

    def _same_again(self, scene: Scene, rng: random.Random) -> Question | None:
        """ "Is there a cup?" "Yes, there is a cup." ... "Segment it." """
        thing = self._present(scene, rng)
        if thing is None:
            return None
        name = self.things[thing].name
        words = article(name)
        earlier = rng.choice(
            [
                (rng.choice(_IS_THERE).format(words), f"Yes, there {'is' if words != name else 'are'} {words}."),
                (explicit(name, rng), f"It is the {name} {SEG}."),
            ]
        )
        return Question("follow_up", rng.choice(_SAME), f"It is the {name} {SEG}.", [(thing, 0)], [earlier])

    def _follow_up(self, scene: Scene, rng: random.Random) -> Question | None:
        """ "Segment the cake." ... "And what would I eat it with?" """
        known = [f for f in self.follow_ups if f.about in scene.present]
        here = [f for f in known if f.target in scene.present]
        gone = [f for f in known if f.target in scene.absent]
        pool = here if here and rng.random() < 0.85 else gone
        if not pool:
            return None
        chosen = rng.choice(pool)
        name = self.things[chosen.about].name
        earlier = rng.choice(
            [
                (explicit(name, rng), f"It is the {name} {SEG}."),
                (rng.choice(_IS_THERE).format(article(name)), f"Yes, there is {article(name)}."),
            ]
        )
        target = self.things[chosen.target].name
        if chosen.target in scene.present:
            return Question("follow_up", chosen.question, f"It is the {target} {SEG}.", [(chosen.target, 0)], [earlier])
        return Question("follow_up", chosen.question, refusal(target) + self._seen(scene, chosen.target), [], [earlier])

    def _is_there(self, scene: Scene, rng: random.Random) -> Question | None:
        there = rng.random() < 0.5
        thing = self._present(scene, rng) if there else self._gone(scene, rng)
        if thing is None:
            return None
        words = article(self._word(thing, rng))
        bare = words.removeprefix("a ").removeprefix("an ")
        verb = "is" if words != bare else "are"
        answer = f"Yes, there {verb} {words}." if there else f"No, there {verb} no {bare} in this image."
        return Question("vqa", rng.choice(_IS_THERE).format(words), answer)

    def _what(self, scene: Scene, rng: random.Random) -> Question | None:
        if not scene.present:
            return None
        words = [article(self.things[thing].name) for thing in list(scene.present)[:5]]
        return Question("vqa", rng.choice(_WHAT), f"I see {join(words)}.")

    def _count(self, scene: Scene, rng: random.Random) -> Question | None:
        thing = self._present(scene, rng)
        if thing is None:
            return None
        count = scene.present[thing]
        number = _NUMBERS[count] if count < len(_NUMBERS) else "many"
        return Question("vqa", rng.choice(_COUNT).format(plural(self.things[thing].name)), f"I count {number}.")


def explicit(word: str, rng: random.Random) -> str:
    """A question that names what it asks for."""
    return rng.choice(_EXPLICIT).format(word, a=article(word))


def _casual(text: str, rng: random.Random) -> str:
    """People also greet and thank, and type without capitals and full stops."""
    if rng.random() < 0.05:
        text = rng.choice(_OPENINGS) + text
    if rng.random() < 0.05 and text[-1] in ".?!":
        text += rng.choice(_CLOSINGS)
    if rng.random() < 0.15:
        text = text.lower()
    return text.rstrip(".") if rng.random() < 0.1 else text
