// How many parts a text is sent in: GSM 7-bit (3GPP TS 23.038) or, as soon as one character needs it, UCS-2.
"use strict";
(() => {
  const plain = new Set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
  );
  const extended = new Set("\f^{}\\[~]|€");

  window.countSegments = (text) => {
    let units = 0;
    for (const character of text) {
      if (plain.has(character)) units += 1;
      else if (extended.has(character)) units += 2;
      else return unicode(text, character);
    }
    return { units, parts: parts(units, 160, 153), forces: "" };
  };

  const unicode = (text, forces) => ({ units: text.length, parts: parts(text.length, 70, 67), forces });
  const parts = (units, single, several) => (units === 0 ? 0 : units <= single ? 1 : Math.ceil(units / several));
})();
