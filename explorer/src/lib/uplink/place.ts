// Places as the engine says them, in the reader's language: a file's name, then line, record, sheet, column.

const PARTS: [RegExp, string][] = [
  [/, sheet ([^,]+)/g, '，工作表 $1'], [/, cell ([A-Z]+\d+)/g, '，单元格 $1'], [/, line (\d+)/g, '，第 $1 行'], [/, record (\d+)/g, '，第 $1 条'],
  [/, column (\d+)/g, '，第 $1 列'], [/, head line/g, '，表头行'],
];

export const chinesePlace = (place: string): string => PARTS.reduce((text, [pattern, words]) => text.replace(pattern, words), place);
export const placeText = (place: string, zh: boolean): string => (zh ? chinesePlace(place) : place);
