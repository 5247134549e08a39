"""The segments of TotalSegmentator's task total as SlicerTotalSegmentator writes them: ID, name, codes, sides."""

from __future__ import annotations

SIDES = {"": "", "left": "SCT^7771000^Left", "right": "SCT^24028007^Right"}
#: ID, name, category, type, its side, region, its side.
TABLE = """
spleen,Spleen,123037004,78961009
kidney_right,Kidney Right,123037004,64033007,right
kidney_left,Kidney Left,123037004,64033007,left
gallbladder,Gallbladder,123037004,28231008
liver,Liver,123037004,10200004
stomach,Stomach,123037004,69695003
pancreas,Pancreas,123037004,15776009
adrenal_gland_right,Adrenal gland Right,123037004,23451007,right
adrenal_gland_left,Adrenal gland Left,123037004,23451007,left
lung_upper_lobe_left,Upper lobe of lung Left,123037004,45653009,left
lung_lower_lobe_left,Lower lobe of lung Left,123037004,90572001,left
lung_upper_lobe_right,Upper lobe of lung Right,123037004,45653009,right
lung_middle_lobe_right,Middle lobe of right lung,123037004,72481006
lung_lower_lobe_right,Lower lobe of lung Right,123037004,90572001,right
esophagus,Esophagus,123037004,32849002
trachea,Trachea,123037004,44567001
thyroid_gland,Thyroid gland,123037004,69748006
small_bowel,Small Intestine,123037004,30315005
duodenum,Duodenum,123037004,38848004
colon,Colon,123037004,71854001
urinary_bladder,Urinary bladder,123037004,89837001
prostate,Prostate,123037004,41216001
kidney_cyst_left,Cyst,49755003,367643001,,64033007,left
kidney_cyst_right,Cyst,49755003,367643001,,64033007,right
sacrum,Sacrum,123037004,54735007
vertebrae_S1,S1 vertebra,123037004,65985001
vertebrae_L5,L5 vertebra,123037004,49668003
vertebrae_L4,L4 vertebra,123037004,11994002
vertebrae_L3,L3 vertebra,123037004,36470004
vertebrae_L2,L2 vertebra,123037004,14293000
vertebrae_L1,L1 vertebra,123037004,66794005
vertebrae_T12,T12 vertebra,123037004,23215003
vertebrae_T11,T11 vertebra,123037004,12989004
vertebrae_T10,T10 vertebra,123037004,7610001
vertebrae_T9,T9 vertebra,123037004,82687006
vertebrae_T8,T8 vertebra,123037004,11068009
vertebrae_T7,T7 vertebra,123037004,62487009
vertebrae_T6,T6 vertebra,123037004,45296009
vertebrae_T5,T5 vertebra,123037004,56401006
vertebrae_T4,T4 vertebra,123037004,73071006
vertebrae_T3,T3 vertebra,123037004,1626008
vertebrae_T2,T2 vertebra,123037004,53733008
vertebrae_T1,T1 vertebra,123037004,64864005
vertebrae_C7,C7 vertebra,123037004,87391001
vertebrae_C6,C6 vertebra,123037004,36054005
vertebrae_C5,C5 vertebra,123037004,36978003
vertebrae_C4,C4 vertebra,123037004,5329002
vertebrae_C3,C3 vertebra,123037004,113205007
vertebrae_C2,C2 vertebra,123037004,39976000
vertebrae_C1,C1 vertebra,123037004,14806007
heart,Heart,123037004,80891009
aorta,Aorta,123037004,15825003
pulmonary_vein,Pulmonary vein,123037004,122972007
brachiocephalic_trunk,Brachiocephalic artery,123037004,12691009
subclavian_artery_right,Subclavian artery Right,123037004,29700009,right
subclavian_artery_left,Subclavian artery Left,123037004,29700009,left
common_carotid_artery_right,Common carotid artery Right,123037004,32062004,right
common_carotid_artery_left,Common carotid artery Left,123037004,32062004,left
brachiocephalic_vein_left,Brachiocephalic vein Left,123037004,8887007,left
brachiocephalic_vein_right,Brachiocephalic vein Right,123037004,8887007,right
atrial_appendage_left,Auricular appendage Left,123037004,68786006,left
superior_vena_cava,Superior vena cava,123037004,48345005
inferior_vena_cava,Inferior vena cava,123037004,64131007
portal_vein_and_splenic_vein,Portal vein and splenic vein,123037004,110765007
iliac_artery_left,Common iliac artery Left,123037004,73634005,left
iliac_artery_right,Common iliac artery Right,123037004,73634005,right
iliac_vena_left,Common iliac vein Left,123037004,46027005,left
iliac_vena_right,Common iliac vein Right,123037004,46027005,right
humerus_left,Humerus Left,123037004,85050009,left
humerus_right,Humerus Right,123037004,85050009,right
scapula_left,Scapula Left,123037004,79601000,left
scapula_right,Scapula Right,123037004,79601000,right
clavicula_left,Clavicle Left,123037004,51299004,left
clavicula_right,Clavicle Right,123037004,51299004,right
femur_left,Femur Left,123037004,71341001,left
femur_right,Femur Right,123037004,71341001,right
hip_left,Hip Left,123037004,29836001,left
hip_right,Hip Right,123037004,29836001,right
spinal_cord,Spinal cord,123037004,2748008
gluteus_maximus_left,Gluteus maximus muscle Left,123037004,181674001,left
gluteus_maximus_right,Gluteus maximus muscle Right,123037004,181674001,right
gluteus_medius_left,Gluteus medius muscle Left,123037004,78333006,left
gluteus_medius_right,Gluteus medius muscle Right,123037004,78333006,right
gluteus_minimus_left,Gluteus minius muscle Left,123037004,75297007,left
gluteus_minimus_right,Gluteus minius muscle Right,123037004,75297007,right
autochthon_left,Deep muscle of back Left,123037004,244849004,left
autochthon_right,Deep muscle of back Right,123037004,244849004,right
iliopsoas_left,Iliopsoas muscle Left,123037004,68455001,left
iliopsoas_right,Iliopsoas muscle Right,123037004,68455001,right
brain,Brain,123037004,12738006
skull,Skull,123037004,89546000
rib_left_1,First rib Left,123037004,48535007,left
rib_left_2,Second rib Left,123037004,78247007,left
rib_left_3,Third rib Left,123037004,25888004,left
rib_left_4,Fourth rib Left,123037004,25523003,left
rib_left_5,Fifth rib Left,123037004,15339008,left
rib_left_6,Sixth rib Left,123037004,59558009,left
rib_left_7,Seventh rib Left,123037004,24915002,left
rib_left_8,Eighth rib Left,123037004,5953002,left
rib_left_9,Ninth rib Left,123037004,22565002,left
rib_left_10,Tenth rib Left,123037004,77644006,left
rib_left_11,Eleventh rib Left,123037004,58830002,left
rib_left_12,Twelfth rib Left,123037004,43993008,left
rib_right_1,First rib Right,123037004,48535007,right
rib_right_2,Second rib Right,123037004,78247007,right
rib_right_3,Third rib Right,123037004,25888004,right
rib_right_4,Fourth rib Right,123037004,25523003,right
rib_right_5,Fifth rib Right,123037004,15339008,right
rib_right_6,Sixth rib Right,123037004,59558009,right
rib_right_7,Seventh rib Right,123037004,24915002,right
rib_right_8,Eighth rib Right,123037004,5953002,right
rib_right_9,Ninth rib Right,123037004,22565002,right
rib_right_10,Tenth rib Right,123037004,77644006,right
rib_right_11,Eleventh rib Right,123037004,58830002,right
rib_right_12,Twelfth rib Right,123037004,43993008,right
sternum,Sternum,123037004,56873002
costal_cartilages,Costal cartilage,123037004,50016007
"""


def total_segments() -> list[tuple[str, str, str]]:
    """(ID, name, terminology tag) of each of the 117 segments, in the order of their label values."""
    found = []
    for line in TABLE.strip().splitlines():
        identifier, name, category, kind, side, region, region_side = (line.split(",") + [""] * 5)[:7]
        coded = [f"SCT^{code}^" if code else "^^" for code in (category, kind, region)]
        tag = ["Segmentation category and type - Total Segmentator", *coded[:2], SIDES[side] or "^^"]
        tag += ["Anatomic codes - DICOM master list", coded[2], SIDES[region_side] or "^^"]
        found.append((identifier, name, "~".join(tag)))
    return found
