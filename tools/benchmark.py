"""What distillation costs: ratios of training steps, peak memory, and counting for the metric, all taken interleaved in one process."""
import inspect
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

from vkd import METHODS, UserError, profile
from vkd.check import console, show_table
from vkd.cli import command, parser
from vkd.config import load_config, plain
from vkd.distiller import forward_features
from vkd.evaluation.segmentation import confusion_counts
from vkd.files import write_json
from vkd.models.heads.clip_semantic import ClipSemanticHead, set_text
from vkd.provenance import git_state, hardware, versions
from vkd.text import synthetic_embeddings

FEATURE = dict(student='backbone[3]', teacher='backbone[3]')
#: options of methods whose defaults are not enough; any other is built with its defaults, and with FEATURE for a tap that has none
OPTIONS = dict(FeatureKD=FEATURE, FitNet=FEATURE, MGD=FEATURE)
STEP_GOAL, COUNT_GOAL, PEER_GOAL, TRANSKD_GOAL, TRANSKD_MEMORY_GOAL = 1.05, 4.0, 1.10, 1.15, 1.25
ROOT = Path(__file__).parent.parent
PEERS, PEERS_SHAPE = 'configs/ctcl/ctcl_lite0_mit-b0_crops_camvid-160x160.py', (4, 3, 160, 160)


def segformer(width, depth, classes):
    """A small SegFormer; a built-in network of a benchmark that needs no config."""
    return dict(type='mmseg.EncoderDecoder', data_preprocessor=dict(type='mmseg.SegDataPreProcessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True, size_divisor=32),
                backbone=dict(type='mmseg.MixVisionTransformer', embed_dims=width, num_layers=[depth] * 4, num_heads=[1, 2, 4, 8], sr_ratios=[8, 4, 2, 1]),
                decode_head=dict(type='mmseg.SegformerHead', in_channels=[width, 2 * width, 4 * width, 8 * width], in_index=[0, 1, 2, 3], channels=64, num_classes=classes,
                                 norm_cfg=dict(type='BN'), align_corners=False, loss_decode=dict(type='mmseg.CrossEntropyLoss', avg_non_ignore=True)),
                test_cfg=dict(mode='whole'))


def default_config(classes=19):
    return Config(dict(default_scope='mmseg', optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4)),
                       model=dict(type='vkd.Distiller', student=segformer(16, 1, classes), teacher=segformer(32, 2, classes), methods=[])))


def cases(cfg):
    """``{name: Config}``: the student alone, then every registered method between the student and the teacher of ``cfg``."""
    model = cfg.model.to_dict()
    if 'student' not in model or not (model.get('teacher') or model.get('teachers')):
        raise UserError(f'Config {cfg.filename!r} has no Distiller with a teacher; give one of a distillation.')
    own = {}  # the config's own options know its networks best
    for method in model.get('methods') or []:
        own.setdefault(str(method['type']).rsplit('.', 1)[-1], []).append(method)
    alone = {k: v for k, v in model.items() if k not in ('teacher', 'teachers', 'methods', 'task_weight')}
    out = dict(alone=dict(alone, methods=[]))
    for name, method in METHODS.module_dict.items():
        needed = {k: FEATURE[k] for k, p in inspect.signature(method).parameters.items() if k in FEATURE and p.default is p.empty}
        out[name] = dict(model, methods=own.get(name) or [dict(type=name, **{**needed, **OPTIONS.get(name, {})})])
    copies = {}
    for name, one in out.items():
        copies[name] = cfg.copy()
        copies[name].model = one
    return copies


def benchmark_steps(cfg, shape, rounds, device):
    """``dict(rows, teacher_seconds, failed)``: cost of a step of each method; ``failed`` says why a method could not be run. A row holds::

        ratio       its step to the student's own, with quartiles low and high
        goal        its step to (the student's own step + a whole forward of the teacher), with quartiles goal_low and goal_high
        parts       shares of its step: data, student, teacher, loss
        memory      its peak memory to the student's own
    """
    built, wrappers, failed, configs = {}, {}, {}, cases(cfg)
    for name, one in configs.items():
        try:
            built[name] = profile.build(one, device)
            wrappers[name] = profile.optim(one, built[name])
        except Exception as error:
            if name == 'alone':
                raise
            failed[name] = f'{type(error).__name__}: {" ".join(str(error).split())}'
    classes = getattr(getattr(built['alone'].student, 'decode_head', None), 'num_classes', None)
    if classes is None:
        raise UserError(f'The student of {cfg.filename!r} is no segmentor, so no batch can be drawn for it; give a config of segmentation.')
    batch = profile.synthetic_batch(shape, classes)
    teacher = next((m._roles[0] for n, m in built.items() if n != 'alone'), None)
    if teacher is None:
        raise UserError(f'No method could be built ({next(iter(failed.values()))}); mend the config.')
    with torch.no_grad():
        image = teacher.input(built['alone'].data_preprocessor(batch, True)['inputs'])

    @torch.no_grad()
    def teach():
        forward_features(teacher.module.eval(), image)

    calls = dict(alone=lambda: built['alone'].train_step(batch, wrappers['alone']), teacher=teach)
    for name in [n for n in built if n != 'alone']:
        def split(name=name):
            return profile.step_parts(built[name], batch, wrappers[name])

        def step(name=name):
            built[name].train_step(batch, wrappers[name])
        try:
            step()
        except Exception as error:
            failed[name] = f'{type(error).__name__}: {" ".join(str(error).split())}'
            continue
        calls[name], calls[f'{name} in parts'] = step, split
    took = profile.interleaved(calls, rounds, device=device)
    memory = {name: profile.peak_memory(one.model.to_dict(), one.optim_wrapper.to_dict(), shape, classes, device) for name, one in configs.items() if name in calls}
    rows = [dict(method='alone', seconds=took['alone']['seconds'], ratio=1., low=1., high=1., goal=None, parts={}, memory=1., memory_mib=memory['alone'] / 2 ** 20)]
    for name in [n for n in calls if n in METHODS.module_dict]:
        own, parts = took[name], took[f'{name} in parts']['parts']
        both = np.array(own['times']) / (np.array(took['alone']['times']) + np.array(took['teacher']['times']))
        low, goal, high = (float(x) for x in np.quantile(both, (0.25, 0.5, 0.75)))
        rows.append(dict(method=name, seconds=own['seconds'], ratio=own['ratio'], low=own['low'], high=own['high'], goal=goal, goal_low=low, goal_high=high,
                         parts={k: v / parts['total'] for k, v in parts.items() if k != 'total'}, memory=memory[name] / memory['alone'], memory_mib=memory[name] / 2 ** 20))
    return dict(rows=rows, teacher_seconds=took['teacher']['seconds'], failed=failed)


def benchmark_transkd(shape, rounds, device):
    """TransKD's variants from MiT-B2 to MiT-B0: the step to (student alone + the teacher's encoder), and the peak memory to (student alone + the teacher's weights)."""
    calls, configs = {}, {}
    for case in ('alone', *METHODS.get('TransKD').variants):
        cfg = load_config(ROOT / f'configs/transkd/transkd-{case if case != "alone" else "base"}_mit-b0_mit-b2_mmseg_cityscapes-512x1024.py')
        cfg.model.teacher.pop('checkpoint')
        if case == 'alone':
            cfg.model = dict(type='vkd.Distiller', student=cfg.model.student, methods=[])
        configs[case], built = cfg, profile.build(cfg, device)
        wrapper = profile.optim(cfg, built)
        calls[case] = lambda built=built, wrapper=wrapper: built.train_step(batch, wrapper)
    batch, teacher = profile.synthetic_batch(shape, 19), built.teachers['teacher']
    with torch.no_grad():
        image = built.data_preprocessor(batch, True)['inputs']

    @torch.no_grad()
    def encode():
        teacher.backbone(image)
    took = profile.interleaved({**calls, 'encoder': encode}, rounds, device=device)
    memory = {case: profile.peak_memory(cfg.model.to_dict(), cfg.optim_wrapper.to_dict(), shape, 19, device) for case, cfg in configs.items()}
    weights = sum(p.numel() * p.element_size() for p in teacher.parameters())
    base, rows = np.array(took['alone']['times']) + np.array(took['encoder']['times']), []
    for case in list(calls)[1:]:
        low, ratio, high = (float(x) for x in np.quantile(np.array(took[case]['times']) / base, (0.25, 0.5, 0.75)))
        rows.append(dict(variant=case, seconds=took[case]['seconds'], ratio=ratio, low=low, high=high, memory=memory[case] / (memory['alone'] + weights), memory_mib=memory[case] / 2 ** 20))
    return dict(shape=list(shape), rows=rows, alone_seconds=took['alone']['seconds'], encoder_seconds=took['encoder']['seconds'])


def benchmark_peers(cfg, shape, rounds, device):
    """A row for each method among peers: its step to the sum of the two networks' own steps, with quartiles, and its peak memory to that of the pair without a method."""
    model = cfg.model.to_dict()
    name, peer = next((n, r) for n, r in model['teachers'].items() if r.get('trainable'))
    alone = dict(type='vkd.Distiller', methods=[])
    wanted = {'student alone': dict(alone, student=model['student']), f'{name} alone': dict(alone, student=peer['model']), 'both, no method': dict(model, methods=[])}
    wanted.update({n: dict(model, methods=[dict(type=n)]) for n, m in METHODS.module_dict.items() if getattr(m, 'mutual', False)})
    wanted["CTCL, resolution='logit'"] = dict(model, methods=[dict(type='CTCL', resolution='logit')])
    configs, calls = {}, {}
    for case, one in wanted.items():
        configs[case] = cfg.copy()
        configs[case].model = one
        built = profile.build(configs[case], device)
        wrapper = profile.optim(configs[case], built)
        calls[case] = lambda built=built, wrapper=wrapper: built.train_step(batch, wrapper)
    classes = model['student']['decode_head']['num_classes']
    batch = profile.synthetic_batch(shape, classes)
    took = profile.interleaved(calls, rounds, device=device)
    memory = {case: profile.peak_memory(one.model.to_dict(), one.optim_wrapper.to_dict(), shape, classes, device) for case, one in configs.items()}
    both = np.array(took['student alone']['times']) + np.array(took[f'{name} alone']['times'])
    rows = []
    for case in calls:
        low, ratio, high = (float(x) for x in np.quantile(np.array(took[case]['times']) / both, (0.25, 0.5, 0.75)))
        rows.append(dict(case=case, seconds=took[case]['seconds'], ratio=ratio, low=low, high=high, memory=memory[case] / memory['both, no method'], memory_mib=memory[case] / 2 ** 20))
    return dict(config=PEERS, shape=list(shape), rows=rows)


def benchmark_clip(shape, rounds, device):
    """What CLIP costs a SegFormer-B0 (random weights, ViT-B/16): inference with the head of k frozen blocks to the body with its own classifier, and the training step with the class
    token's teacher to the step without it plus the teacher's forward alone."""
    name, classes, unseen = 'ViT-B-16-quickgelu', 20, [18, 19]
    body = load_config(ROOT / 'configs/_base_/models/mit-b0.py').student.to_dict()
    body['decode_head'].update(num_classes=classes)
    rows = dict(embeddings=synthetic_embeddings([f'class {i}' for i in range(classes)], 512))
    tower = dict(model=dict(type='vkd.ClipImageTower', name=name, random=True), view=dict(mean=[122.7709, 116.7460, 104.0937], std=[68.5005, 66.6322, 70.3232], size=(224, 224)))

    def semantic(k):
        return dict(body, decode_head=dict(type='vkd.ClipSemanticHead', inner=body['decode_head'], num_classes=classes, unseen=unseen, clip=dict(name=name, random=True), num_blocks=k, max_tokens=1024))

    def made(student, **more):
        cfg = Config(dict(default_scope='mmseg', optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4)), model=dict(type='vkd.Distiller', student=student, methods=[], **more)))
        model = profile.build(cfg, device)
        if isinstance(model.student.decode_head, ClipSemanticHead):
            set_text(model.student, **rows, unseen=[f'class {i}' for i in unseen])
        return model, profile.optim(cfg, model)
    models = {'body': made(body), **{f'k={k}': made(semantic(k)) for k in (0, 1, 2)}}
    batch = profile.synthetic_batch(shape, classes - len(unseen))
    plain = models['body'][0]
    with torch.no_grad():
        image = plain.data_preprocessor(batch, True)['inputs']

    @torch.no_grad()
    def infer(model):
        model.student.eval()(image)
    took = profile.interleaved({n: (lambda m=m: infer(m)) for n, (m, _) in models.items()}, rounds, device=device)
    inference = [dict(case=n, seconds=t['seconds'], ratio=t['ratio'], low=t['low'], high=t['high']) for n, t in took.items()]
    taught, wrapper = made(semantic(0), teacher=tower, methods=[dict(type='ChimeraSeg')])
    role = taught._roles[0]

    @torch.no_grad()
    def teach():
        role.module(role.input(image))
    alone, own = models['k=0']
    took = profile.interleaved({'without': lambda: alone.train().train_step(batch, own), 'teacher': teach, 'with': lambda: taught.train_step(batch, wrapper)}, rounds, device=device)
    low, ratio, high = (float(x) for x in np.quantile(np.array(took['with']['times']) / (np.array(took['without']['times']) + np.array(took['teacher']['times'])), (0.25, 0.5, 0.75)))
    return dict(shape=list(shape), inference=inference, step=dict(without=took['without']['seconds'], teacher=took['teacher']['seconds'], taught=took['with']['seconds'], ratio=ratio, low=low, high=high))


def benchmark_counting(rounds, device, shape=(1024, 2048), classes=19):
    """Counting one image for the metric: seconds of vkd's confusion counts, of mmseg's three histograms, and their ratio; the counts must agree."""
    from mmseg.evaluation.metrics import IoUMetric
    random = torch.Generator().manual_seed(0)

    def regions(cell):  # maps are made of regions, not of noise
        return torch.randint(classes, (shape[0] // cell, shape[1] // cell), generator=random).repeat_interleave(cell, 0).repeat_interleave(cell, 1)
    label, pred = regions(32), regions(16)
    label[torch.rand(label.shape, generator=random) < 0.1] = 255
    label, pred = label.to(device), pred.to(device)
    ours, theirs = confusion_counts(pred, label, classes).cpu(), IoUMetric.intersect_and_union(pred, label, classes, 255)
    agree = torch.equal(ours.diagonal().float(), theirs[0]) and torch.equal(ours.sum(0).float(), theirs[2]) and torch.equal(ours.sum(1).float(), theirs[3])
    if not agree:
        raise UserError("vkd's counts differ from mmseg's; this is a bug: please report it.")
    took = profile.interleaved(dict(vkd=lambda: confusion_counts(pred, label, classes), mmseg=lambda: IoUMetric.intersect_and_union(pred, label, classes, 255)), rounds, device=device)
    return dict(shape=list(shape), classes=classes, vkd_seconds=took['vkd']['seconds'], mmseg_seconds=took['mmseg']['seconds'],
                ratio=took['mmseg']['ratio'], low=took['mmseg']['low'], high=took['mmseg']['high'])


def show(content):
    out = console()
    steps, count = content['steps'], content['counting']
    show_table(out, f'Training step, batch {"x".join(map(str, content["shape"]))}, median of {content["rounds"]} interleaved rounds (quartiles)',
               ['method', 'step', 'to student alone', '(25 to 75 %)', 'to alone + teacher', f'goal {STEP_GOAL}', 'student', 'teacher', 'loss', 'data', 'peak memory', 'to alone'],
               [[r['method'], f'{1000 * r["seconds"]:.1f} ms', f'{r["ratio"]:.2f}', f'{r["low"]:.2f} to {r["high"]:.2f}', r['goal'] and f'{r["goal"]:.2f} ({r["goal_low"]:.2f} to {r["goal_high"]:.2f})',
                 None if r['goal'] is None else 'met' if r['goal'] <= STEP_GOAL else 'missed',
                 *(f'{r["parts"][k]:.0%}' if k in r['parts'] else None for k in ('student', 'teacher', 'loss', 'data')), f'{r["memory_mib"]:.0f} MiB', f'{r["memory"]:.2f}'] for r in steps['rows']])
    def goal(value, limit):
        return 'met' if value <= limit else 'missed'
    if content['transkd']:
        show_table(out, f'TransKD, MiT-B2 to MiT-B0, batch {"x".join(map(str, content["transkd"]["shape"]))}',
                   ['variant', 'step', 'to alone + encoder', '(25 to 75 %)', f'goal {TRANSKD_GOAL}', 'peak memory', 'to alone + weights', f'goal {TRANSKD_MEMORY_GOAL}'],
                   [[r['variant'], f'{1000 * r["seconds"]:.0f} ms', f'{r["ratio"]:.2f}', f'{r["low"]:.2f} to {r["high"]:.2f}', goal(r['ratio'], TRANSKD_GOAL), f'{r["memory_mib"]:.0f} MiB',
                     f'{r["memory"]:.2f}', goal(r['memory'], TRANSKD_MEMORY_GOAL)] for r in content['transkd']['rows']])
    show_table(out, f'Peers, EfficientNet-Lite0 and MiT-B0, batch {"x".join(map(str, content["peers"]["shape"]))}', ['case', 'step', 'to the sum of both alone', '(25 to 75 %)', f'goal {PEER_GOAL}', 'peak memory', 'to no method'],
               [[r['case'], f'{1000 * r["seconds"]:.1f} ms', f'{r["ratio"]:.2f}', f'{r["low"]:.2f} to {r["high"]:.2f}', goal(r['ratio'], PEER_GOAL) if 'CTCL' in r['case'] else None,
                 f'{r["memory_mib"]:.0f} MiB', f'{r["memory"]:.2f}'] for r in content['peers']['rows']])
    clip = content['clip']
    if clip:
        show_table(out, f'CLIP semantic head on SegFormer-B0, ViT-B/16 without weights, batch {"x".join(map(str, clip["shape"]))}, inference', ['case', 'a batch', 'to the body', '(25 to 75 %)'],
                   [[r['case'], f'{1000 * r["seconds"]:.0f} ms', f'{r["ratio"]:.2f}', f'{r["low"]:.2f} to {r["high"]:.2f}'] for r in clip['inference']])
        step = clip['step']
        out.print(f'A training step with the class token\'s teacher takes {step["ratio"]:.2f} ({step["low"]:.2f} to {step["high"]:.2f}) of the step without it and the teacher\'s forward together '
                  f'({1000 * step["without"]:.0f} and {1000 * step["teacher"]:.0f} ms).')
    for name, reason in steps['failed'].items():
        out.print(f'{name} could not be run: {reason}', markup=False, soft_wrap=True)
    out.print(f'A whole forward of the teacher takes {1000 * steps["teacher_seconds"]:.1f} ms.')
    out.print(f'Counting {count["shape"][0]}x{count["shape"][1]}, {count["classes"]} classes: vkd {1000 * count["vkd_seconds"]:.1f} ms, mmseg {1000 * count["mmseg_seconds"]:.1f} ms; '
              f'{count["ratio"]:.1f} times ({count["low"]:.1f} to {count["high"]:.1f}) as fast, goal {COUNT_GOAL:.0f}: {"met" if count["ratio"] >= COUNT_GOAL else "missed"}.', markup=False)


def arguments():
    p = parser(__doc__)
    p.add_argument('--config', help='take student, teacher and optimizer from this config of a distillation; small built-in networks by default')
    p.add_argument('--shape', type=int, nargs=4, default=[4, 3, 128, 128], metavar=('B', 'C', 'H', 'W'), help='batch of noise')
    p.add_argument('--rounds', type=int, default=15, help='interleaved rounds')
    p.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu', help='torch device')
    p.add_argument('--json', metavar='FILE', help='write the figures there as well')
    return p


def main(args):
    MMLogger.get_current_instance().setLevel('ERROR')
    cfg = load_config(args.config) if args.config else default_config()
    content = dict(format=1, config=args.config, shape=args.shape, rounds=args.rounds, device=args.device, steps=benchmark_steps(cfg, tuple(args.shape), args.rounds, args.device),
                   transkd=None if args.config else benchmark_transkd((2, 3, 128, 256), max(3, args.rounds // 3), args.device),
                   clip=None if args.config else benchmark_clip((2, 3, 128, 128), max(3, args.rounds // 2), args.device),
                   peers=benchmark_peers(load_config(ROOT / PEERS), PEERS_SHAPE, args.rounds, args.device), counting=benchmark_counting(args.rounds, args.device), hardware=hardware(), versions=versions(), git=git_state())
    if args.json:
        write_json(args.json, plain(content))
    show(content)


if __name__ == '__main__':
    command(main, arguments())
