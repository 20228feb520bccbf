// How many segments a text is sent in: GSM 7-bit or, as soon as one character needs it, UCS-2.
// It counts as integrations/language/segments.py does; tests/language/segments.json holds the cases of both.
"use strict";
(() => {
  const plain = new Set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
  );
  const extended = new Set("\f^{}\\[~]|€");
  const septets = (character) => (plain.has(character) ? 1 : extended.has(character) ? 2 : 0);

  // `forces`: the first character that the GSM alphabet lacks.
  window.countSegments = (text) => {
    const characters = [...text];
    const forces = characters.find((character) => !septets(character)) || "";
    const sizes = characters.map((character) => (forces ? character.length : septets(character)));
    return { ...fill(sizes, forces ? [70, 67] : [160, 153]), forces };
  };

  // No segment ends within a character: an escape stays with what it escapes (3GPP TS 23.040, 9.2.3.24.1),
  // and so do the halves of a surrogate pair.
  const fill = (sizes, [single, several]) => {
    const units = sizes.reduce((sum, size) => sum + size, 0);
    if (units <= single) return { units, parts: 1 };
    let parts = 1, room = several;
    for (const size of sizes) {
      if (size > room) { parts += 1; room = several; }
      room -= size;
    }
    return { units, parts };
  };
})();
