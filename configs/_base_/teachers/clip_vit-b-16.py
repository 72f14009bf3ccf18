# CLIP ViT-B/16 with OpenAI's weights: a user's own archive, converted by tools/converters/clip.py. mean and std are CLIP's, times 255
teacher_name = 'clip-b16'
clip = dict(name='ViT-B-16-quickgelu', checkpoint='work_dirs/clip/ViT-B-16.safetensors')
teacher = dict(model=dict(type='vkd.ClipImageTower', **clip), view=dict(mean=[122.7709, 116.7460, 104.0937], std=[68.5005, 66.6322, 70.3232], size=(224, 224)))
