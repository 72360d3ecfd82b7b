// Why a row or a file is at fault, in the reader's language: the engine says it in English, and by codes with the values that belong
// into the words. What another program says is shown as it is.
import { chinesePlace } from './place';
import type { EngineFault } from './types';

/** By code, as `sdk/uplink/src/reason.rs` has them. */
export const CHINESE: Record<string, string> = {
  said: '{0}', 'in.field': '（字段 {0}）', 'in.cell': '（字段 {0}，单元 {1}）',
  'number.none': '不是数字', 'number.exponent': '指数不是数字', 'number.digits': '数字超过 {0} 位', 'number.thousands': '分隔符不在千位上',
  'number.fraction': '应为整数，却有小数', 'number.beyond': '整数超出 {0}', 'boolean.neither': '既非是也非否；请在映射的代码中写明用词',
  'code.form': '不是由字母、数字与 . _ : - 组成的代码；请在映射的代码中写明其含义', 'code.unknown': '映射的代码中没有该词',
  'date.form': '不是已知格式的日期；请在映射中写明格式', 'date.moment': '同一时刻在别处可能是另一天；请在映射中写明以哪个时区计日',
  'time.no_offset': '时间没有时区；请在映射中写明时区', 'time.offset': '时区应写作 +08:00 或 Z', 'time.form': '不是已知格式的时间；请在映射中写明格式',
  'text.long': '文本超过 {0} KiB', 'text.formula': '文本以电子表格公式的写法开头；确属文本时请设 formula = true', 'text.zero': '含有零字符',
  'text.several': '应为一个值，却有多个', 'rows.split': '一段文本中有多行；请在映射中写明行分隔符', 'rows.many': '超过 {0} 行',
  'rows.cells': '一行有 {0} 个单元，而命名了 {1} 个', 'file.held': '行所附文件只能由 vouch doc uplink 发送',
  'required.number': '业务编号为空', 'required.watermark': '水位列为空', 'required.field': '字段 {0} 不得为空', 'required.cell': '不得为空，除非设为可选',
  'required.each': '一份凭证的每一行都须在此写明', 'required.parties': '角色 {1} 有 {0} 个当事方，应为 {2} 至 {3} 个',
  'required.parties_many': '角色 {1} 的当事方多于 {0} 个，应为 {2} 至 {3} 个', 'required.references': '引用 {1} 有 {0} 个，应为 {2} 至 {3} 个',
  'required.references_many': '引用 {1} 多于 {0} 个，应为 {2} 至 {3} 个', 'sensitive.clear': '字段 {0} 以明文上链，却含敏感文本（规则 {1}）',
  'group.none': '凭证没有任何行', 'group.differs': '与 {0} 不一致；同一凭证的各行在此必须相同', 'group.no_line': '该行没有可成为明细的内容',
  'group.long': '一份凭证超过 {0} 行或 {1} MiB', 'group.nobodys': '；因此无法判断哪份凭证缺少该行：请修正或删除该行',
  'duplicate.number': '另有一条记录使用同一编号', 'duplicate.of': '{1} 的第 {0} 条记录使用同一编号', 'duplicate.many': '超过 {0} 行使用了先前出现过的编号；请改用其他列编号',
  'source.changed': '处理过程中文件发生了变化；此后不再发送其中任何内容：请重新执行', 'source.unread': '此处不读取这类来源；请使用 vouch doc uplink',
  'source.workbook': '工作簿已加密，或为旧格式 XLS；请另存为不带密码的 XLSX', 'source.bomb': '解压后的大小远超该文件应有的大小', 'source.empty': '其中没有内容', 'source.no_text': '开头有零字节：不是文本',
  'source.encoding': '有字节不是该编码中的字符', 'source.long_record': '一条记录超过 {0} MiB，或引号、元素没有闭合', 'source.long_row': '一行超过 {0} 个单元或 {1} MiB',
  'source.long_value': '一个值超过 {0} 字节', 'source.long_run': '一次处理超过 {0} GiB；请分批读取', 'source.deep': '嵌套超过 {0} 层',
  'head.ragged': '有 {0} 个单元，而表头行有 {1} 个', 'head.no_name': '第 {0} 列没有名称', 'head.same_name': '第 {0} 列与第 {1} 列同名', 'head.none': '没有表头行',
  'sheet.none': '其中没有工作表', 'sheet.unknown': '没有工作表 {0}；现有：{1}', 'sheet.columns': '超过 {0} 列', 'sheet.outside': '单元格在表头行的各列之外',
  'sheet.number': '不是数值', 'sheet.digits': '数字超过 {0} 位，工作簿会丢失部分位数；请将该列设为文本', 'sheet.day': '工作簿中没有的日期', 'sheet.error': '单元格显示错误 {0}',
  'json.no_array': '所指路径上没有记录数组', 'json.no_key': '没有键 {0}', 'json.expected': '此处应为“{0}”', 'json.open': '文本没有闭合', 'json.text': '文本有误：{0}',
  'json.number': '数字超过 {0} 个字符', 'json.none': '不是 JSON 的值', 'json.ends': '文件在一个值中间结束', 'json.key': '此处应为键', 'json.keys': '对象超过 {0} 个键',
  'json.twice': '键 {0} 出现两次', 'json.behind_array': '数组结束之后还有内容', 'json.comma': '此处应为逗号或数组结尾', 'json.array_ends': '文件在数组中间结束',
  'json.object': '记录应为对象', 'json.behind': '值之后还有内容', 'xml.doctype': '不读取文档类型声明：它可以定义无限膨胀的实体', 'xml.many': '一个元素有超过 {0} 个不同名的属性与元素',
  'xml.entity': 'XML 中没有的实体', 'xml.ends': '文件在一个元素中间结束',
};

/** Values that are places. */
const PLACES = new Set(['group.differs']);

export function reasonText(fault: Pick<EngineFault, 'reason' | 'why'>, zh: boolean): string {
  if (!zh) return fault.reason;
  const said = ({ code, values }: { code: string; values: string[] }): string | null =>
    CHINESE[code]?.replace(/\{(\d+)\}/g, (_, at: string) => (PLACES.has(code) ? chinesePlace(values[Number(at)] ?? '') : values[Number(at)] ?? '')) ?? null;
  const parts = fault.why.map(said);
  // A code of a newer engine: better in English than half.
  return parts.includes(null) ? fault.reason : parts.join('');
}
