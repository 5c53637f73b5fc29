/** A photo that comes with the page, and a question that the shipped model answers rightly; a test holds it to that. */
export interface Example {
  /** Path relative to the page. */
  readonly photo: string;
  readonly alt: string;
  readonly question: string;
}

export const EXAMPLES: readonly Example[] = [
  {
    photo: 'examples/coffee.jpg',
    alt: 'A cup of coffee on a wooden table',
    question: 'Where could I pour a drink?',
  },
  { photo: 'examples/cat.jpg', alt: 'A cat', question: 'Which animal catches mice?' },
  { photo: 'examples/astronaut.jpg', alt: 'An astronaut', question: 'Who could fly a spacecraft?' },
];
