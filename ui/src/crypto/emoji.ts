// The emoji that a person compares on both devices of a link: 64, so that each stands for 6 bits.
//
// The idea is from Matrix (client-server API, "SAS method: emoji"); the table is our own. Each emoji
// is one code point of Unicode 9 or earlier with emoji presentation by default, so that every
// current system draws it, in colour and without a variation selector. There are no people, hands,
// flags or hearts, and no two emoji have the same shape. The names are single, common, distinct
// words, for people who hear them or read them out. The order is part of the format.

export interface Emoji {
  readonly emoji: string;
  /** In English. */
  readonly name: string;
}

const TABLE = `
🐘 elephant    🐢 turtle      🦋 butterfly   🐙 octopus
🐧 penguin     🦉 owl         🐝 bee         🐌 snail
🦀 crab        🐬 dolphin     🐫 camel       🦁 lion
🐸 frog        🐍 snake       🌵 cactus      🌻 sunflower
🍄 mushroom    🌲 tree        🍁 leaf        🌙 moon
⭐ star        🌈 rainbow     🔥 fire        🌋 volcano
⛄ snowman     ⚡ lightning   🍎 apple       🍌 banana
🍇 grapes      🍉 melon       🥕 carrot      🍞 bread
🍕 pizza       🎂 cake        🍩 doughnut    🥚 egg
🔑 key         🔔 bell        ⚓ anchor      🎈 balloon
📕 book        💡 lamp        🔨 hammer      🎩 hat
👓 glasses     ☔ umbrella    ⏰ alarm       ⌛ hourglass
🎁 gift        🔒 padlock     👑 crown       💎 diamond
🎲 dice        🎸 guitar      🎺 trumpet     🥁 drum
📷 camera      🚀 rocket      🚲 bicycle     🚂 train
🏠 house       🤖 robot       👻 ghost       🏆 trophy
`;

const WORDS = TABLE.trim().split(/\s+/);

export const EMOJI: readonly Emoji[] = Array.from({ length: WORDS.length / 2 }, (_, at) => ({
  emoji: WORDS[2 * at] ?? "",
  name: WORDS[2 * at + 1] ?? "",
}));
