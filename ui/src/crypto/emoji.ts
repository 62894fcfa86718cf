// The emoji that two people compare when they link a device: 64, so that each stands for 6 bits.
//
// The idea is from Matrix (spec, "SAS method: emoji"); the table is our own. Each emoji is one code
// point of Unicode 10 or earlier with emoji presentation by default, so that every current system
// draws it, in colour and without a variation selector. There are no faces, hands, flags, hearts,
// clock times or other series whose members look alike, and no two of one shape and colour. The
// names are single common words with different sounds: they can be read out over the telephone.
// The order is part of the protocol.

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
